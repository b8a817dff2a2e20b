"""C-GET (PS3.4 C.4.3): objects come over the association that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts, build_context, build_role
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]
from pynetdicom.status import GENERAL_STATUS, QR_GET_SERVICE_CLASS_STATUS

from cbmir.archive.dimse import intake
from cbmir.archive.dimse.landing import Landing
from cbmir.archive.dimse.network import PLAIN, TRANSFER_SYNTAXES
from cbmir.archive.dimse.peer import MAX_CONTEXTS, Peer
from cbmir.archive.dimse.retrieval import Batch, Outcome

MODEL: UID = StudyRootQueryRetrieveInformationModelGet
CONTEXT = build_context(MODEL, list(PLAIN))
WORDS = {**GENERAL_STATUS, **QR_GET_SERVICE_CLASS_STATUS}

CLASSES = (MAX_CONTEXTS - 1) // len(TRANSFER_SYNTAXES)
"""SOP classes that fit one association, if each is proposed in every transfer syntax by itself: only so can the
archive choose, object by object, the one that the object is stored in."""

SUCCESS, PENDING, SOME_FAILED = 0x0000, 0xFF00, 0xB000


def storage_contexts(classes: Sequence[str]) -> Iterator[list[PresentationContext]]:
    """What associations propose for objects of these classes; of unknown ones, all classes one after the other.

    There each class is proposed once, in any transfer syntax, and the archive chooses one for all of its objects.
    """
    if classes:
        yield [build_context(each, [syntax]) for each in classes for syntax in TRANSFER_SYNTAXES]
        return
    every = [each.abstract_syntax for each in AllStoragePresentationContexts]
    for first in range(0, len(every), MAX_CONTEXTS - 1):
        yield [
            build_context(each or "", list(TRANSFER_SYNTAXES)) for each in every[first : first + MAX_CONTEXTS - 1]
        ]


def get(peer: Peer, batch: Batch, folder: Path, refused: Callable[[int], None]) -> Outcome:
    """Ask for a batch; its files land in `folder`.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost, or offers no C-GET.
    """
    outcome = Outcome()
    wanted = set(batch.uids)
    taking = intake.Taking(Landing(folder), wanted=wanted.__contains__, refused=refused)
    for contexts in storage_contexts(batch.classes):
        roles = [build_role(each, scp_role=True) for each in {cx.abstract_syntax or "" for cx in contexts}]
        with peer.associated([CONTEXT, *contexts], MODEL, roles, intake.handlers(taking)) as association:
            outcome = ended(peer, association.send_c_get(batch.identifier(), MODEL), WORDS)
        if all((folder / f"{uid}.dcm").exists() for uid in wanted):
            break
    return outcome


def ended(peer: Peer, responses: Iterator[tuple[Dataset, Dataset | None]], words: Any) -> Outcome:
    """How a C-GET or a C-MOVE ends (PS3.4 C.4.2.1.5, C.4.3.1.4).

    Raises:
        cbmir.errors.ArchiveUnavailable: if the archive falls silent.
    """
    for status, identifier in responses:
        if "Status" not in status:
            raise peer.lost("while it sent objects")
        if status.Status in (SUCCESS, SOME_FAILED):
            return Outcome(failed=_failed(identifier))
        if status.Status != PENDING:
            return Outcome(_failed(identifier), error=peer.failure(status, "to send objects", words))
    raise peer.lost("while it sent objects")


def _failed(identifier: Dataset | None) -> frozenset[str]:
    """Failed SOP Instance UID List (0008,0058), as far as the archive gives it."""
    listed = getattr(identifier, "FailedSOPInstanceUIDList", None) or []
    return frozenset([listed] if isinstance(listed, str) else map(str, listed))
