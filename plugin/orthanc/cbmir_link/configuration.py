# SPDX-License-Identifier: AGPL-3.0-or-later
"""The section `Cbmir` of Orthanc's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KNOWN = ("Url", "Archive", "Username", "Password", "Authority", "Queue", "QueueLimit", "BrowserUrl")


class BadConfiguration(Exception):
    """What is wrong with the section, in a sentence without any secret."""


@dataclass(frozen=True)
class Configuration:
    """Where cbmir is, and how it knows this Orthanc."""

    url: str
    """Base URL of cbmir's web, as seen from Orthanc; without a slash at its end."""
    archive: str
    """Name under which `cbmir archive add` knows this Orthanc."""
    queue: Path
    """File that holds the events which cbmir was not told of yet."""
    browser_url: str
    """Base URL of cbmir's web, as seen from the users' browsers."""
    username: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""
    """File of the certificate authority (PEM) that signed cbmir's certificate; empty for the system's."""
    queue_limit: int = 200_000
    """Events (100 bytes each) beyond which the queue is emptied, and cbmir asked to compare everything instead."""

    @classmethod
    def of(cls, orthanc: Mapping[str, Any]) -> Configuration:
        """The configuration within Orthanc's own.

        Raises:
            BadConfiguration: if the section is missing, or something in it is not as it must be.
        """
        section = orthanc.get("Cbmir")
        if not isinstance(section, dict):
            raise BadConfiguration("Orthanc's configuration has no section Cbmir.")
        if strange := sorted(set(section) - set(KNOWN)):
            raise BadConfiguration(f"Cbmir.{strange[0]} is not known; known are {', '.join(KNOWN)}.")
        url = _url(section, "Url")
        return cls(
            url=url,
            archive=_text(section, "Archive", needed=True),
            queue=_queue(orthanc, _text(section, "Queue")),
            browser_url=_url(section, "BrowserUrl") if section.get("BrowserUrl") else url,
            username=_text(section, "Username"),
            password=_text(section, "Password"),
            authority=_text(section, "Authority"),
            queue_limit=_count(section, "QueueLimit", cls.queue_limit),
        )


def _text(section: Mapping[str, Any], name: str, needed: bool = False) -> str:
    value = section.get(name, "")
    if not isinstance(value, str) or (needed and not value):
        raise BadConfiguration(f"Cbmir.{name} must be a text{' and not be empty' if needed else ''}.")
    return value


def _count(section: Mapping[str, Any], name: str, default: int) -> int:
    value = section.get(name, default)
    if type(value) is not int or value < 1:
        raise BadConfiguration(f"Cbmir.{name} must be a whole number above 0.")
    return value


def _url(section: Mapping[str, Any], name: str) -> str:
    value = _text(section, name, needed=True)
    if "@" in value:
        raise BadConfiguration(f"Cbmir.{name} must hold no user and no password: they have entries of their own.")
    if not _is_base(value):
        raise BadConfiguration(f"Cbmir.{name} must be a URL such as http://127.0.0.1:8000.")
    return value.rstrip("/")


def _is_base(value: str) -> bool:
    """Whether it is a URL of the web that a path can be appended to."""
    try:
        parts = urlsplit(value)
        plain = parts.port != 0 and value.isascii() and value.isprintable()
    except ValueError:
        return False
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and not set(value) & set(" ?#")


def _queue(orthanc: Mapping[str, Any], given: str) -> Path:
    """The file named, else one beside Orthanc's index."""
    if given:
        path = Path(given)
    else:
        path = Path(orthanc.get("IndexDirectory") or orthanc.get("StorageDirectory") or "") / "cbmir-queue.sqlite"
    if not path.is_absolute():
        raise BadConfiguration("Cbmir.Queue must be an absolute path, in a folder that Orthanc may write to.")
    return path
