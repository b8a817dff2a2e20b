"""C-MOVE (PS3.4 C.4.2): the archive sends to a receiver of ours, which it must know by its AE title."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]
from pynetdicom.status import GENERAL_STATUS, QR_MOVE_SERVICE_CLASS_STATUS

from cbmir.archive.base import RemoteInstance
from cbmir.archive.connection import Connection
from cbmir.archive.dimse.getting import ended
from cbmir.archive.dimse.network import PLAIN
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.dimse.receiver import Receiver
from cbmir.archive.dimse.reception import Reception
from cbmir.archive.dimse.retrieval import Batch, Outcome
from cbmir.errors import BadRequest

MODEL: UID = StudyRootQueryRetrieveInformationModelMove
CONTEXT = build_context(MODEL, list(PLAIN))
WORDS = {**GENERAL_STATUS, **QR_MOVE_SERVICE_CLASS_STATUS}

PATIENCE = 10
"""For each so many objects the archive gets another time-out: it need not say anything between them."""


def reception(connection: Connection, folder: Path) -> Reception:
    """How the objects of a C-MOVE are received.

    Raises:
        cbmir.errors.BadRequest: if they are to be encrypted, but there is no certificate of ours.
    """
    if connection.tls and not connection.certificate:
        raise BadRequest(
            f"{connection.name} is to send over TLS, but there is no certificate of ours.",
            "Name certificate and key, or retrieve by C-GET.",
        )
    return Reception(
        folder,
        connection.move_aet,
        "0.0.0.0",  # noqa: S104 (the archive connects from elsewhere, and only what was asked for is taken)
        connection.move_port,
        certificate=connection.certificate if connection.tls else "",
        key=connection.key,
        authority=connection.authority,
        keep_free=0,
        idle_seconds=connection.timeout_seconds,
    )


@contextmanager
def receiving(
    connection: Connection, instances: Sequence[RemoteInstance], folder: Path, refused: Callable[[int], None]
) -> Iterator[None]:
    """A receiver that takes these objects alone.

    Raises:
        as `Receiver` and `reception`.
    """
    wanted = {each.sop_instance_uid for each in instances}
    with Receiver(reception(connection, folder), wanted.__contains__, refused):
        yield


def move(
    peer: Peer, landed: Path, refusals: Sequence[int], batch: Batch, folder: Path, refused: Callable[[int], None]
) -> Outcome:
    """Ask for a batch; its files come from where the receiver puts them, `landed`, to `folder`.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost, or offers no C-MOVE.
    """
    connection = peer.connection
    with peer.associated([CONTEXT], MODEL) as association:
        association.dimse_timeout = connection.timeout_seconds * (1 + len(batch.instances) // PATIENCE)
        outcome = ended(peer, association.send_c_move(batch.identifier(), connection.move_aet, MODEL), WORDS)
    for uid in batch.uids:
        if (landed / f"{uid}.dcm").exists():
            (landed / f"{uid}.dcm").rename(folder / f"{uid}.dcm")
    for status in refusals:
        refused(status)
    return outcome
