"""Storage Commitment as SCP (PS3.4 J): it promises to keep only what it still has, and has on the disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from cbmir.archive.dimse.landing import Landing, flush
from cbmir.archive.dimse.wire import prepare

LOG = logging.getLogger(__name__)

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model SOP Instance (PS3.4 J.3.5)."""

ACCEPTED, NO_SUCH_ACTION, MISSING = 0x0000, 0x0123, 0x0120
NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119
"""Failure Reasons (0008,1197), PS3.3 C.14.1.1."""

ALL_KEPT, SOME_NOT = 1, 2
"""Event types of the report (PS3.4 J.3.3.1)."""


def judged(landing: Landing, asked: Dataset) -> Dataset:
    """The report on a request: which of its objects are kept, and why the others are not."""
    kept: list[Dataset] = []
    failed: list[Dataset] = []
    for item in asked.ReferencedSOPSequence:
        reason = _failure(landing, str(item.ReferencedSOPInstanceUID), str(item.ReferencedSOPClassUID))
        answer = Dataset()
        answer.ReferencedSOPClassUID = item.ReferencedSOPClassUID
        answer.ReferencedSOPInstanceUID = item.ReferencedSOPInstanceUID
        if reason:
            answer.FailureReason = reason
        (failed if reason else kept).append(answer)
    report = Dataset()
    report.TransactionUID = asked.TransactionUID
    if kept:
        report.ReferencedSOPSequence = kept
    if failed:
        report.FailedSOPSequence = failed
    return report


def _failure(landing: Landing, sop_instance_uid: str, sop_class_uid: str) -> int:
    """Why the object is not promised; 0 if it is, and then it is on the disk."""
    place = landing.holder(sop_instance_uid)
    if place is None:
        return NO_SUCH_OBJECT
    try:
        meta = pydicom.filereader.read_file_meta_info(place)
    except (OSError, InvalidDicomError):  # it left meanwhile
        return NO_SUCH_OBJECT
    if meta.MediaStorageSOPClassUID != sop_class_uid:
        return CLASS_CONFLICT
    flush(place)
    flush(place.parent)
    return 0


def handlers(
    landing: Landing, reports: Mapping[str, tuple[str, int]], entity: Callable[[], AE]
) -> list[EventHandlerType]:
    """What makes an association take requests for commitment.

    Args:
        landing: the folder whose objects are promised.
        reports: AE title -> host and port that are reported to over a new association.
        entity: makes the application entity that reports.
    """

    def asked(event: Event) -> tuple[int, Dataset | None]:
        if event.action_type != 1:
            return NO_SUCH_ACTION, None
        request = event.action_information
        if not all(name in request for name in ("TransactionUID", "ReferencedSOPSequence")):
            return MISSING, None
        _once_answered(event.assoc, lambda: _report(event.assoc, judged(landing, request), reports, entity))
        return ACCEPTED, None

    return [(evt.EVT_N_ACTION, asked)]


def _once_answered(association: Association, then: Callable[[], None]) -> None:
    """Go on in a thread once the next PDU has been sent, which is the answer to the request."""

    def sent(_: Event) -> None:
        association.unbind(evt.EVT_PDU_SENT, sent)
        threading.Thread(target=then, name="commitment", daemon=True).start()

    association.bind(evt.EVT_PDU_SENT, sent)


def _report(
    association: Association, report: Dataset, reports: Mapping[str, tuple[str, int]], entity: Callable[[], AE]
) -> None:
    caller = association.remote["ae_title"].strip()
    told = (
        _told_anew(report, caller, reports[caller], entity()) if caller in reports else _told(association, report)
    )
    if not told:
        LOG.warning("%s could not be told about storage commitment %s.", caller, report.TransactionUID)


def _told(association: Association, report: Dataset) -> bool:
    """Report over this association."""
    kind = SOME_NOT if "FailedSOPSequence" in report else ALL_KEPT
    try:
        status, _ = association.send_n_event_report(report, kind, StorageCommitmentPushModel, WELL_KNOWN)
    except (RuntimeError, ValueError):  # it ended meanwhile; it allows no such message
        return False
    return getattr(status, "Status", None) == ACCEPTED


def _told_anew(report: Dataset, caller: str, place: tuple[str, int], entity: AE) -> bool:
    """Report over an association of its own, in which we are the SCP (PS3.4 J.3.3, PS3.7 D.3.3.4)."""
    association = entity.associate(
        *place,
        contexts=[build_context(StorageCommitmentPushModel)],
        ae_title=caller,
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
        evt_handlers=[(evt.EVT_CONN_OPEN, prepare)],
    )
    if not association.is_established:
        return False
    try:
        return _told(association, report)
    finally:
        association.release()
