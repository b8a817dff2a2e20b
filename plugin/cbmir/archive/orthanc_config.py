"""What belongs into Orthanc's own configuration, so that its pages and its script lead to cbmir."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cbmir.errors import BadRequest

SCRIPT = "/etc/orthanc/cbmir/cbmir_orthanc.py"
"""Where the script is to be copied to, on Orthanc's machine (plugin/orthanc/README.md)."""

LEVELS = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}
"""Levels of Orthanc Explorer 2 and the keyword (PS3.6) of what names a resource there."""


def buttons(url: str) -> dict[str, Any]:
    """Orthanc Explorer 2's configuration (1.8.0 or later): "Similar images" for studies, series and instances.

    Args:
        url: base URL of cbmir's web, as the users' browsers see it.

    Raises:
        cbmir.errors.BadRequest: if it is no URL of the web.
    """
    base = _base(url)
    levels = {level: [_button(base, level, keyword)] for level, keyword in LEVELS.items()}
    return {"OrthancExplorer2": {"UiOptions": {"CustomButtons": levels}}}


def _button(base: str, level: str, keyword: str) -> dict[str, str]:
    return {
        "HttpMethod": "GET",
        "Id": f"cbmir-similar-{level}",
        "Tooltip": "Similar images",
        "Icon": "bi bi-images",
        "Target": "_blank",
        "Url": f"{base}/similar?{level}={{{keyword}}}",
    }


def script(url: str, archive: str, username: str = "") -> dict[str, Any]:
    """What makes Orthanc load the script of plugin/orthanc; the password is to be filled in there.

    Args:
        url: base URL of cbmir's web, as Orthanc and the users' browsers see it.
        archive: name under which this Orthanc is known to cbmir.
        username: if cbmir asks for one.

    Raises:
        cbmir.errors.BadRequest: if the URL is none of the web, or the name is empty.
    """
    if not archive:
        raise BadRequest("The script must say which archive it speaks for.", "Name it as `cbmir archive add` did.")
    section = {"Url": _base(url), "Archive": archive, "Username": username, "Password": ""}
    return {"PythonScript": SCRIPT, "Cbmir": section}


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or set(url) & set(" \"'<>{}?#@\\"):
        raise BadRequest("This is no base URL of cbmir's web.", "Give one such as http://127.0.0.1:8000.")
    return url.rstrip("/")
