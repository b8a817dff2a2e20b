"""Credentials at rest: encrypted under a key that only this installation has."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cbmir.archive.connection import Credentials
from cbmir.errors import BadRequest

PURPOSE = b"cbmir archive credentials"


def seal(credentials: Credentials, secret: str) -> bytes:
    """Encrypt credentials (Fernet: AES-128-CBC, HMAC-SHA256) under a key derived from the installation's secret."""
    return _fernet(secret).encrypt(json.dumps(asdict(credentials)).encode())


def unseal(sealed: bytes, secret: str, name: str) -> Credentials:
    """Decrypt the credentials of the archive `name`.

    Raises:
        cbmir.errors.BadRequest: if they were sealed under another secret.
    """
    try:
        return Credentials(**json.loads(_fernet(secret).decrypt(sealed)))
    except InvalidToken as error:
        raise BadRequest(
            f"The credentials of the archive {name} were sealed under another secret key.",
            f"Set CBMIR_SECRET_KEY to what it was, or give them again, all: `cbmir archive edit {name}`.",
        ) from error


def _fernet(secret: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(key))
