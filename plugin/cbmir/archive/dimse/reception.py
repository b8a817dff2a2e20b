"""How objects are received: the settings of a Storage SCP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cbmir.archive.dimse.landing import Fsync
from cbmir.archive.dimse.network import MAX_PDU
from cbmir.errors import BadRequest
from cbmir.settings import is_loopback

KEEP_FREE = 1024**3
"""Bytes that must remain free on the disk, unless told otherwise."""


@dataclass(frozen=True)
class Reception:
    """How objects are received."""

    folder: Path
    """Where they land, one file each, named by SOP Instance UID."""

    aet: str = "CBMIR"
    """Our AE title."""

    host: str = "127.0.0.1"
    """Address that is listened on."""

    port: int = 11112
    """TCP port; 0 takes one that is free."""

    allowed: tuple[str, ...] = ()
    """Calling AE titles that are let in; empty for all."""

    check_called: bool = True
    """Whether callers must call us by our AE title."""

    certificate: str = ""
    """Path of our certificate (PEM); with it, every connection is encrypted (PS3.15 B.12)."""

    key: str = ""
    """Path of its private key."""

    authority: str = ""
    """Path of the authority whose certificates callers must show; empty asks for none."""

    fsync: Fsync = Fsync.ASSOCIATION
    """When received bytes are forced to the disk."""

    max_pdu: int = MAX_PDU
    """Bytes of a P-DATA PDU that are taken."""

    max_associations: int = 32
    """Associations at one time; more are refused for the moment."""

    shared: bool = False
    """Whether other processes listen on this port too: the system deals the connections out among them."""

    joins: bool = False
    """Whether another process was first on a shared port, and has seen that no stranger listens on it."""

    keep_free: int = KEEP_FREE
    """Bytes that must remain free on the disk: with less, objects are refused (A700) before anything is lost."""

    idle_seconds: float = 60.0
    """After this silence an association is aborted."""

    keep: bool = False
    """Whether objects are kept once they are ingested; only then is storage commitment offered."""

    reports: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """AE title -> host and port that storage commitment is reported to; others are told on the same association."""


def refuse_open_door(how: Reception) -> None:
    """Refuse to take objects from a whole network without asking who sends.

    Raises:
        cbmir.errors.BadRequest: if `host` is not loopback, and there is neither an allow-list nor an authority
            whose certificates callers show. Encryption alone asks nobody who they are.
    """
    if not is_loopback(how.host) and not how.allowed and not (how.certificate and how.authority):
        raise BadRequest(
            f"{how.host} can be reached from other machines, and anybody there could send.",
            "Name those who may (--allow), ask for certificates (--tls-cert, --tls-key, --tls-ca), or say --open.",
        )
