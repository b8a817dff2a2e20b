"""Pseudonyms: a patient is known by a keyed hash, which only this installation can make."""

from __future__ import annotations

import hashlib
import hmac

from cbmir.types import ConvertedObject

FILE_GROUP = "file-"
"""How the group of a file begins that nothing tells the patient of."""


def pseudonym(patient_key: str, secret: str) -> str:
    """The group key of a patient: `p-` and 16 hexadecimal digits of HMAC-SHA256 (RFC 2104) under `secret`.

    A plain hash of a patient id can be undone by trying all ids; a keyed one cannot without the key.
    """
    return "p-" + hmac.new(secret.encode(), patient_key.encode(), hashlib.sha256).hexdigest()[:16]


def group_key(converted: ConvertedObject, secret: str) -> str:
    """The group of an object of which no manifest says more: its patient, else its study, else the file alone."""
    header = converted.header
    if header and header.patient_key:
        return pseudonym(header.patient_key, secret)
    if header and header.study_instance_uid:
        return f"study-{header.study_instance_uid}"
    return f"{FILE_GROUP}{converted.sha256[:16]}"
