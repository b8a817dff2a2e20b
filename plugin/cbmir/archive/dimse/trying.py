"""Whether we may retrieve: some archives, such as Orthanc, accept C-GET and C-MOVE, and look for that only at the
request itself. Nothing is fetched: what is asked for is an object that nobody has."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import build_context, build_role

from cbmir.archive.base import RemoteInstance
from cbmir.archive.connection import Retrieval
from cbmir.archive.dimse import getting, moving
from cbmir.archive.dimse.network import PLAIN
from cbmir.archive.dimse.peer import UNDELIVERED, Peer
from cbmir.archive.dimse.retrieval import Batch
from cbmir.errors import ArchiveRefused, CbmirError

REFUSALS = (0x0122, 0x0124, *UNDELIVERED)
"""Not supported, not authorised (PS3.7 C.5), and what is said of a destination; whatever else is said is said of
the object, which is not there (Orthanc: C000)."""


def retrieve(peer: Peer) -> None:
    """Ask for an object that nobody has, in the way in which we retrieve.

    Raises:
        cbmir.errors.ArchiveUnavailable: if there is no association.
        cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: if nothing would be given to us.
    """
    moves = peer.connection.retrieve is Retrieval.MOVE
    *_, (status, _) = _moving(peer) if moves else _getting(peer)
    if "Status" not in status:
        raise _broken_off(peer, "Move" if moves else "Get")
    if status.Status in REFUSALS:
        raise peer.failure(status, "to send objects", moving.WORDS if moves else getting.WORDS)


def _broken_off(peer: Peer, way: str) -> CbmirError:
    allowed = f"C-{way.upper()} allowed for {peer.connection.calling_aet}"
    return ArchiveRefused(
        f"{peer.name} broke off, or fell silent, when it was asked for an object.",
        f"Have {allowed} there (Orthanc: DicomModalities, or DicomAlwaysAllow{way}), or retrieve the other way.",
    )


def _getting(peer: Peer) -> Iterator[tuple[Dataset, Dataset | None]]:
    images = build_context(CTImageStorage, list(PLAIN))
    role = build_role(CTImageStorage, scp_role=True)
    with peer.associated([getting.CONTEXT, images], getting.MODEL, [role]) as association:
        yield from association.send_c_get(_nobodys(), getting.MODEL)


def _moving(peer: Peer) -> Iterator[tuple[Dataset, Dataset | None]]:
    with peer.associated([moving.CONTEXT], moving.MODEL) as association:
        yield from association.send_c_move(_nobodys(), peer.connection.move_aet, moving.MODEL)


def _nobodys() -> Dataset:
    instance, series, study = (str(generate_uid()) for _ in range(3))
    return Batch((RemoteInstance(instance, series, study),)).identifier()
