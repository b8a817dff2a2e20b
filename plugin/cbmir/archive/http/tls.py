"""Whom we trust, and how we show who we are: TLS contexts from the files that a connection names (RFC 8446)."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from cbmir.archive.connection import Connection
from cbmir.archive.trust import trusting
from cbmir.errors import BadRequest


def context(connection: Connection) -> ssl.SSLContext:
    """A context that trusts the connection's authority, else the system's, and holds our certificate, if any.

    Connections that name neither share one: the system's authorities take 20 to 70 ms to be read.

    Raises:
        cbmir.errors.BadRequest: if a file that the connection names cannot be used.
    """
    if not (connection.authority or connection.certificate):
        return _plain(_of_the_system())
    made = _trusting(connection)
    if connection.certificate:
        _show(made, connection)
    return made


@lru_cache(maxsize=1)
def _plain(_authorities: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    """The context that trusts the system's authorities as these files have them; without any, Mozilla's."""
    context = trusting("")
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _of_the_system() -> tuple[tuple[str, int], ...]:
    """Where the system keeps its authorities, and when they were changed."""
    paths = ssl.get_default_verify_paths()
    return tuple((path, os.stat(path).st_mtime_ns) for path in (paths.cafile, paths.capath) if path)


def _trusting(connection: Connection) -> ssl.SSLContext:
    try:
        return trusting(connection.authority)
    except OSError as error:  # SSLError is one
        raise BadRequest(
            f"The archive {connection.name} names the authority {connection.authority}, which cannot be used: "
            f"{error.strerror or 'it is no certificate'}.",
            "Name a file with the authority's certificate in PEM form.",
        ) from error


def _show(made: ssl.SSLContext, connection: Connection) -> None:
    try:
        made.load_cert_chain(connection.certificate, connection.key or None, password=_no_password)
    except (OSError, ValueError) as error:
        raise BadRequest(
            f"The archive {connection.name} names the certificate {connection.certificate}, which cannot be used "
            f"with its key: {getattr(error, 'strerror', None) or 'they do not fit, or are no PEM'}.",
            "Name a certificate and its private key, without a password, in PEM form.",
        ) from error


def _no_password() -> str:
    """Without this OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password")
