"""What a list in DICOM JSON says, entry by entry: by tag, eight hexadecimal digits, a `Value` (PS3.18 F.2)."""

from __future__ import annotations

from hashlib import sha256

from cbmir.archive.base import RemoteInstance, RemoteStudy
from cbmir.archive.http.paging import Entry
from cbmir.dicom.header import read_date
from cbmir.errors import ArchiveGarbled

STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, BODY_PART = "00080060", "00180015"
PATIENT_ID, ISSUER = "00100020", "00100021"
STUDY_DATE, STUDY_TIME, MODALITIES = "00080020", "00080030", "00080061"
SERIES_COUNT, INSTANCE_COUNT = "00201206", "00201208"

STAMPED = (STUDY_DATE, STUDY_TIME, MODALITIES, SERIES_COUNT, INSTANCE_COUNT)
"""Attributes of a study that change with what is in it; none of them tells who the patient is."""


def values(entry: Entry, tag: str) -> list[str]:
    """An element's values as text, without padding; none where it is absent or empty."""
    element = entry.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return [str(each).strip("\0 ") for each in found if each is not None] if isinstance(found, list) else []


def text(entry: Entry, tag: str) -> str:
    """An element's first value as text; empty where there is none."""
    return next(iter(values(entry, tag)), "")


def uid(entry: Entry, tag: str, who: str) -> str:
    """The UID by which an entry is known.

    Raises:
        cbmir.errors.ArchiveGarbled: if it has none.
    """
    found = text(entry, tag)
    if not found:
        raise ArchiveGarbled(
            f"{who} lists something without its UID.", "Check that the address is a DICOMweb root."
        )
    return found


def study(entry: Entry) -> RemoteStudy:
    """A study (PS3.18 10.6.3, Table 10.6.3-3)."""
    patient = text(entry, PATIENT_ID)
    count = text(entry, INSTANCE_COUNT)
    return RemoteStudy(
        text(entry, STUDY_UID),
        f"{patient}\\{text(entry, ISSUER)}" if patient else "",
        int(count) if count.isdecimal() else None,
        _stamp(entry),
        read_date(text(entry, STUDY_DATE)),
    )


def _stamp(entry: Entry) -> str:
    told = [sorted(values(entry, tag)) for tag in STAMPED]
    return sha256(repr(told).encode()).hexdigest()[:32] if any(told) else ""


def instance(entry: Entry, study_instance_uid: str, series: dict[str, Entry]) -> RemoteInstance:
    """An object (PS3.18 10.6.3, Table 10.6.3-5); what it does not say of its series, the series' entry says.

    Args:
        entry: of the object.
        study_instance_uid: its study, which servers need not repeat.
        series: entries by Series Instance UID; it may be empty.
    """
    series_uid = text(entry, SERIES_UID)
    of_series = series.get(series_uid, {})
    return RemoteInstance(
        text(entry, SOP_UID),
        series_uid,
        study_instance_uid,
        text(entry, SOP_CLASS),
        (text(entry, MODALITY) or text(of_series, MODALITY)).upper(),
        (text(entry, BODY_PART) or text(of_series, BODY_PART)).upper(),
    )
