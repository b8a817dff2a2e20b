"""C-FIND (PS3.4 C.4.1) in the Study Root model: which studies there are, and which objects each has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]
from pynetdicom.status import GENERAL_STATUS, QR_FIND_SERVICE_CLASS_STATUS

from cbmir.archive.base import RemoteInstance, RemoteStudy
from cbmir.archive.dimse.network import PLAIN
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.dimse.spans import Span
from cbmir.dicom import values
from cbmir.dicom.header import patient_key, read_date
from cbmir.errors import ArchiveGarbled

MODEL = StudyRootQueryRetrieveInformationModelFind
WORDS = {**GENERAL_STATUS, **QR_FIND_SERVICE_CLASS_STATUS}

SUCCESS = 0x0000
PENDING = (0xFF00, 0xFF01)
CUT_OFF = (0xA700, 0xB001, 0xFE00)
"""Out of resources; limit reached; cancelled, which Orthanc says of answers that it crops, and we never ask for."""

ROUND = 50
"""An answer of a multiple of this many may have stopped at a limit that the archive does not speak of."""

LIMIT = "Raise the limit of answers to a C-FIND there (Orthanc: LimitFindResults)."


@dataclass(frozen=True)
class Answer:
    """What a C-FIND brought, and whether the archive said that there is more."""

    found: list[Dataset]
    cut: bool


CONTEXT = build_context(MODEL, list(PLAIN))
"""What an association for queries proposes."""


def ask(peer: Peer, association: Association, level: str, **keys: str) -> Answer:
    """One C-FIND: keys with a value select, empty ones are returned.

    Raises:
        cbmir.errors.ArchiveUnavailable: if the archive falls silent.
        cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: if it fails, or cannot be understood.
    """
    found = list(_found(peer, association, level, **keys))
    return Answer([each for each in found if each is not None], cut=None in found)


def _found(peer: Peer, association: Association, level: str, **keys: str) -> Iterator[Dataset | None]:
    """What a C-FIND brings, as it comes; at its end None, where the archive says that there is more."""
    request = Dataset()
    request.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(request, keyword, value)
    for status, identifier in association.send_c_find(request, MODEL):
        if "Status" not in status:
            raise peer.lost("while it was asked what it has")
        if status.Status in PENDING:
            yield _identifier(peer, identifier)
        elif status.Status in CUT_OFF:
            yield None
            return
        elif status.Status != SUCCESS:
            raise peer.failure(status, "to say what it has", WORDS)


def _identifier(peer: Peer, identifier: Dataset | None) -> Dataset:
    if identifier is None:
        raise ArchiveGarbled(f"{peer.name} answered a C-FIND with what is no data set.", "Its own log says more.")
    return identifier


def studies(peer: Peer, span: Span) -> Iterator[RemoteStudy]:
    """All studies of a span of time, each once.

    Where the archive cuts off its answer, or may have done so, the span is halved and asked for again.

    Raises:
        as `ask`; ArchiveGarbled also where a piece that cannot be cut is cut off, or where studies without a date,
        which no range finds, may be missing from an answer that was cut off.
    """
    seen: set[str] = set()
    waiting = [span]
    while waiting:
        for piece, answer in _answers(peer, waiting):
            waiting.extend(_again(peer, piece, answer))
            for each in answer.found:
                study = _study(peer, each)
                if study.study_instance_uid not in seen:
                    seen.add(study.study_instance_uid)
                    yield study


def any_study(peer: Peer) -> RemoteStudy | None:
    """One of its studies, if it has any; the others are not waited for.

    Raises:
        as `ask`.
    """
    with peer.associated([CONTEXT], MODEL) as association:
        keys = ("StudyInstanceUID", "NumberOfStudyRelatedInstances")
        found = next(_found(peer, association, "STUDY", **dict.fromkeys(keys, "")), None)
        association.abort()
    return _study(peer, found) if found is not None else None


def _answers(peer: Peer, waiting: list[Span]) -> Iterator[tuple[Span, Answer]]:
    """Asks for pieces over one association, until it ends, for whoever takes long may find it ended, or until an
    answer is cut off: something may still come of that one."""
    with peer.associated([CONTEXT], MODEL) as association:
        cut = False
        while waiting and association.is_established and not cut:
            piece = waiting.pop()
            answer = _asked(peer, association, piece)
            yield piece, answer
            cut = answer.cut


def _asked(peer: Peer, association: Association, span: Span) -> Answer:
    return ask(
        peer,
        association,
        "STUDY",
        StudyInstanceUID="",
        StudyDate=span.study_date,
        StudyTime=span.study_time,
        PatientID="",
        IssuerOfPatientID="",
        NumberOfStudyRelatedInstances="",
    )


def _again(peer: Peer, span: Span, answer: Answer) -> tuple[Span, ...]:
    """What must be asked for again, since the answer may not be whole."""
    if not answer.cut and (not answer.found or len(answer.found) % ROUND):
        return ()
    halves = span.halves() or ()
    if answer.cut and not halves:
        when = f"{span.study_date} {span.study_time}".strip()
        raise ArchiveGarbled(f"{peer.name} does not list all studies of {when}: they are too many.", LIMIT)
    timed = ("StudyDate",) if span.since != span.until or span.since is None else ("StudyDate", "StudyTime")
    if answer.cut and any(not values.text(each, keyword) for each in answer.found for keyword in timed):
        raise ArchiveGarbled(
            f"{peer.name} cuts off its answers, and has studies without date or time, which cannot be asked for in "
            "pieces.",
            LIMIT,
        )
    return halves


def _study(peer: Peer, found: Dataset) -> RemoteStudy:
    count = values.number(found, "NumberOfStudyRelatedInstances")
    return RemoteStudy(
        _needed(peer, found, "StudyInstanceUID"),
        patient_key(found),
        None if count is None else int(count),
        study_date=read_date(values.text(found, "StudyDate")),
    )


def instances(peer: Peer, study_instance_uid: str) -> Iterator[RemoteInstance]:
    """All objects of a study, each once.

    Raises:
        as `ask`; ArchiveGarbled also where the archive does not list all of a series.
    """
    seen: set[str] = set()
    with peer.associated([CONTEXT], MODEL) as association:
        found = [
            instance
            for series in _series(peer, association, study_instance_uid)
            for instance in _images(peer, association, study_instance_uid, series)
        ]
    for each in found:
        if each.sop_instance_uid not in seen:
            seen.add(each.sop_instance_uid)
            yield each


def _series(peer: Peer, association: Association, study_instance_uid: str) -> Iterable[Dataset]:
    """Each once: pynetdicom's qrscp gives one for each of its objects."""
    answer = ask(
        peer,
        association,
        "SERIES",
        StudyInstanceUID=study_instance_uid,
        SeriesInstanceUID="",
        Modality="",
        BodyPartExamined="",
        NumberOfSeriesRelatedInstances="",
    )
    return {_needed(peer, each, "SeriesInstanceUID"): each for each in _whole(peer, answer, "series")}.values()


def _images(
    peer: Peer, association: Association, study_instance_uid: str, series: Dataset
) -> Iterator[RemoteInstance]:
    series_instance_uid = _needed(peer, series, "SeriesInstanceUID")
    keys = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
    answer = ask(peer, association, "IMAGE", **keys, SOPInstanceUID="", SOPClassUID="")
    listed = _whole(peer, answer, "objects")
    expected = values.number(series, "NumberOfSeriesRelatedInstances")
    if expected is not None and len(listed) < expected:
        raise ArchiveGarbled(f"{peer.name} lists {len(listed)} of the {expected:.0f} objects of a series.", LIMIT)
    for each in listed:
        yield RemoteInstance(
            _needed(peer, each, "SOPInstanceUID"),
            series_instance_uid,
            study_instance_uid,
            values.text(each, "SOPClassUID"),
            values.text(series, "Modality").upper(),
            values.text(series, "BodyPartExamined").upper(),
        )


def _whole(peer: Peer, answer: Answer, what: str) -> list[Dataset]:
    if answer.cut:
        raise ArchiveGarbled(f"{peer.name} does not list all {what} of a study.", LIMIT)
    return answer.found


def _needed(peer: Peer, found: Dataset, keyword: str) -> str:
    value = values.text(found, keyword)
    if not value:
        raise ArchiveGarbled(f"{peer.name} answered a C-FIND without {keyword}.", "Its own log says more.")
    return value
