"""Files for TLS that the web may name: those that the host's administrator laid into one folder, and no others.

Who may use the web need not be let at other files of the host, nor learn which there are. On the command line any
file can be named.
"""

from __future__ import annotations

from pathlib import Path

from cbmir.errors import BadRequest
from cbmir.settings import Settings

FIELDS = ("authority", "certificate", "key")
"""Fields of `cbmir.archive.connection.Connection` that name a file."""


def names(settings: Settings) -> list[str]:
    """The files that may be named, in order."""
    folder = settings.certificates
    return sorted(each.name for each in folder.iterdir() if each.is_file()) if folder.is_dir() else []


def path_of(settings: Settings, field: str, name: str) -> str:
    """The absolute path of the file of this name; empty without a name.

    Args:
        settings: the installation's.
        field: one of `FIELDS`, for the sentence.
        name: as `names` gives it.

    Raises:
        cbmir.errors.BadRequest: if there is none.
    """
    if name and name not in names(settings):
        raise BadRequest(
            f"The {field} {name} is no file of the folder `certificates`.",
            f"Lay it there, as PEM: {settings.certificates.absolute()}. `cbmir archive` takes any path.",
        )
    return str(settings.certificates.absolute() / name) if name else ""


def name_of(settings: Settings, path: str) -> str:
    """How the web calls the file of a path: by its name if it is in the folder, else by its path."""
    return Path(path).name if path and Path(path).parent == settings.certificates.absolute() else path
