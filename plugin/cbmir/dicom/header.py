"""What is kept of a header: identifiers and what kind of picture it is, never a patient's name."""

from __future__ import annotations

import re

from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.boundary import RESEND, translated
from cbmir.errors import BrokenFile
from cbmir.types import InstanceHeader

UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""Digits and dots (PS3.5 9.1); leading zeros, which some vendors write, are let pass."""

MAX_UID = 64
"""Characters of a UID (PS3.5 6.2, VR UI)."""

UNSAFE = re.compile(r"[^A-Z0-9_ /.,()-]")
"""What a code string is not made of (PS3.5 6.2, VR CS), but for the punctuation that body parts come with."""


def describe(dataset: Dataset, name: str) -> InstanceHeader:
    """Read the identifiers of an object.

    An invalid UID other than its own, or an element that cannot be read, is left empty; codes are upper case and
    free of anything but letters, digits and simple punctuation.

    Raises:
        cbmir.errors.BrokenFile: without a valid SOP Instance UID, in the dataset or the meta header.
    """
    with translated(f"{name} has a header that cannot be read"):
        meta = dataset.file_meta
        own = _uid(dataset, "SOPInstanceUID") or _uid(meta, "MediaStorageSOPInstanceUID")
        if not own:
            raise BrokenFile(f"{name} has no valid SOP Instance UID.", RESEND)
        return InstanceHeader(
            sop_instance_uid=own,
            sop_class_uid=_uid(dataset, "SOPClassUID") or _uid(meta, "MediaStorageSOPClassUID"),
            study_instance_uid=_uid(dataset, "StudyInstanceUID"),
            series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
            modality=_code(dataset, "Modality", 16),
            body_part=_body_part(dataset),
            transfer_syntax_uid=_uid(meta, "TransferSyntaxUID"),
            patient_key=_patient_key(dataset),
        )


def _uid(dataset: Dataset, keyword: str) -> str:
    uid = values.text(dataset, keyword)
    return uid if len(uid) <= MAX_UID and UID.fullmatch(uid) else ""


def _code(dataset: Dataset, keyword: str, length: int) -> str:
    return UNSAFE.sub("", values.text(dataset, keyword).upper())[:length].strip()


def _body_part(dataset: Dataset) -> str:
    """Body Part Examined, else the meaning of the first Anatomic Region code, also of a shared functional group."""
    if part := _code(dataset, "BodyPartExamined", 64):
        return part
    shared = values.items(dataset, "SharedFunctionalGroupsSequence")[:1]
    anatomy = [item for group in shared for item in values.items(group, "FrameAnatomySequence")[:1]]
    for source in (dataset, *anatomy):
        for region in values.items(source, "AnatomicRegionSequence")[:1]:
            return _code(region, "CodeMeaning", 64)
    return ""


def _patient_key(dataset: Dataset) -> str:
    """Patient ID and its issuer, which together name a person; empty without the former."""
    patient = values.text(dataset, "PatientID")
    return f"{patient}\\{values.text(dataset, 'IssuerOfPatientID')}" if patient else ""
