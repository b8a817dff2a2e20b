"""What `archive test` asks of any archive over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from cbmir.archive.base import Check
from cbmir.archive.connection import Connection
from cbmir.archive.http.answers import CERTIFICATE, CREDENTIALS
from cbmir.errors import CbmirError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check(what: str, look: Callable[[], str]) -> Check:
    """A check that is well and says what `look` gives, or is not and says the error that `look` raises."""
    try:
        return Check(what, True, look())
    except CbmirError as error:
        return Check(what, False, error.reason, error.remedy)


def reached(connection: Connection, look: Callable[[], object]) -> list[Check]:
    """Whether the archive answers and lets us in: one check, or two."""
    clear = _in_clear(connection)
    try:
        look()
    except CbmirError as error:
        if error.remedy in (CREDENTIALS, CERTIFICATE):
            return [Check("credentials", False, error.reason, error.remedy), *clear]
        return [Check("reachable", False, error.reason, error.remedy)]
    return [Check("reachable", True, "It answers."), Check("credentials", True, _shown(connection)), *clear]


def _shown(connection: Connection) -> str:
    credentials = connection.credentials
    ways = {
        "OAuth2 client credentials": credentials.token_url,
        "a bearer token": credentials.token,
        "a password": credentials.username,
        "a certificate": connection.certificate,
    }
    way = next((way for way, given in ways.items() if given), "")
    return f"It lets us in by {way}." if way else "It lets everybody in."


def _in_clear(connection: Connection) -> list[Check]:
    parts, credentials = urlsplit(connection.address), connection.credentials
    secret = credentials.password or credentials.token or credentials.client_secret
    if parts.scheme == "https" or not secret or parts.hostname in LOOPBACK:
        return []
    said = "Credentials and images go over the network in clear."
    return [Check("encryption", False, said, "Use https, or a tunnel to the archive.")]
