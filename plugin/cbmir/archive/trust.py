"""Whom we trust in TLS: the system's authorities, or one that an administrator names."""

from __future__ import annotations

import ssl


def trusting(authority: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
    """A context that trusts the authority whose file is named, else the system's.

    From Python 3.13 on an authority must by default be to the letter of RFC 5280, which those that hospitals make
    for themselves seldom are: of one that an administrator has chosen nobody asks that, whatever the Python.

    Args:
        authority: path of a file of certificates in PEM form; it may be empty.
        purpose: whether servers or clients are verified.

    Raises:
        OSError: if the file cannot be used; ssl.SSLError is one.
    """
    context = ssl.create_default_context(purpose, cafile=authority or None)
    if authority:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
