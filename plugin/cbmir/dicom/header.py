"""What is kept of a header: identifiers and what kind of picture it is, never a patient's name."""

from __future__ import annotations

import re
from datetime import date
from itertools import islice

from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.boundary import translated
from cbmir.dicom.groups import macro
from cbmir.modalities import known_modality
from cbmir.types import InstanceHeader, UltrasoundRegion

UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""Digits and dots (PS3.5 9.1); leading zeros, which some vendors write, are let pass."""

MAX_UID = 64
"""Characters of a UID (PS3.5 6.2, VR UI)."""

UNSAFE = re.compile(r"[^A-Z0-9_ /.,()-]")
"""What a code string is not made of (PS3.5 6.2, VR CS), but for the punctuation that body parts come with."""

SIDES = ("L", "R", "B", "U")
"""Left, right, both, unpaired: what a laterality may be (PS3.3 C.7.6.16.2.8, C.8.3.1.1.3)."""

DATE = re.compile(r"[0-9]{8}")

DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
"""What says when a study was made (PS3.3 C.7.2.1, C.7.3.1, C.7.6.1): the first of them that is a date."""

MAX_REGIONS = 64
"""Ultrasound regions that are kept."""

MAX_SIDE = 65_535
"""Rows and Columns are unsigned 16-bit numbers, and so no corner of a region lies beyond."""


def describe(dataset: Dataset, name: str) -> InstanceHeader:
    """Read the identifiers of an object, and what kind of picture it is.

    An invalid UID, or an element that cannot be read, is left empty: an object without a UID of its own is known by
    its content, as a plain image is. Codes are upper case and free of anything but letters, digits and simple
    punctuation; manufacturer and model, too, so that one is one, however its software writes it. A modality that is
    none of the standard's is OT: it goes into labels and addresses, where no other text of a header may.

    Raises:
        cbmir.errors.BrokenFile: if the header is damaged beyond that.
    """
    with translated(f"{name} has a header that cannot be read"):
        meta = dataset.file_meta
        return InstanceHeader(
            sop_instance_uid=_uid(dataset, "SOPInstanceUID") or _uid(meta, "MediaStorageSOPInstanceUID"),
            sop_class_uid=_uid(dataset, "SOPClassUID") or _uid(meta, "MediaStorageSOPClassUID"),
            study_instance_uid=_uid(dataset, "StudyInstanceUID"),
            series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
            modality=known_modality(_code(dataset, "Modality", 16)),
            body_part=_body_part(dataset),
            transfer_syntax_uid=_uid(meta, "TransferSyntaxUID"),
            patient_key=patient_key(dataset),
            photometric=_code(dataset, "PhotometricInterpretation", 16),
            burned_in_annotation=_burned_in(dataset),
            laterality=_laterality(dataset),
            view_position=_view_position(dataset),
            manufacturer=_code(dataset, "Manufacturer", 64),
            model_name=_code(dataset, "ManufacturerModelName", 64),
            study_date=_study_date(dataset),
            ultrasound_regions=_ultrasound_regions(dataset),
        )


def _burned_in(dataset: Dataset) -> str:
    """YES or NO where the object says so; YES of a slide's label, which is text (PS3.3 C.8.12.4.1.1)."""
    said = _one_of(_code(dataset, "BurnedInAnnotation", 16), ("YES", "NO"))
    flavour = values.texts(dataset, "ImageType")[2:3]
    return said or ("YES" if flavour == ["LABEL"] else "")


def _uid(dataset: Dataset, keyword: str) -> str:
    uid = values.text(dataset, keyword)
    return uid if len(uid) <= MAX_UID and UID.fullmatch(uid) else ""


def _code(dataset: Dataset, keyword: str, length: int) -> str:
    return UNSAFE.sub("", values.text(dataset, keyword).upper())[:length].strip()


def _one_of(code: str, known: tuple[str, ...]) -> str:
    return code if code in known else ""


def _body_part(dataset: Dataset) -> str:
    """Body Part Examined, else the meaning of the first Anatomic Region code, also of the first frame."""
    if part := _code(dataset, "BodyPartExamined", 64):
        return part
    for source in (dataset, macro(dataset, 0, "FrameAnatomySequence")):
        for region in values.items(source, "AnatomicRegionSequence")[:1]:
            return _code(region, "CodeMeaning", 64)
    return ""


def _laterality(dataset: Dataset) -> str:
    """Image Laterality, else the series' Laterality, else Frame Laterality of the first frame (C.7.6.16.2.8)."""
    anatomy = macro(dataset, 0, "FrameAnatomySequence")
    sources = ((dataset, "ImageLaterality"), (dataset, "Laterality"), (anatomy, "FrameLaterality"))
    sides = (_one_of(_code(source, keyword, 16), SIDES) for source, keyword in sources)
    return next(filter(None, sides), "")


def _view_position(dataset: Dataset) -> str:
    """View Position, else the meaning of the first View Code, cut to the 16 characters of a code."""
    if position := _code(dataset, "ViewPosition", 16):
        return position
    views = values.items(dataset, "ViewCodeSequence")[:1]
    return _code(views[0], "CodeMeaning", 16) if views else ""


def _study_date(dataset: Dataset) -> date | None:
    """The first of `DATES` that is one."""
    found = (read_date(values.text(dataset, keyword)) for keyword in DATES)
    return next(filter(None, found), None)


def read_date(text: str) -> date | None:
    """A date as YYYYMMDD (PS3.5 6.2, VR DA), or YYYY.MM.DD as before 1993; None if it is none."""
    digits = text.replace(".", "")
    try:
        return date.fromisoformat(digits) if DATE.fullmatch(digits) else None
    except ValueError:
        return None


def _ultrasound_regions(dataset: Dataset) -> tuple[UltrasoundRegion, ...]:
    """The first `MAX_REGIONS` of the Sequence of Ultrasound Regions (C.8.5.5) whose corners make sense."""
    items = values.items(dataset, "SequenceOfUltrasoundRegions")
    regions = (region for item in items if (region := _ultrasound_region(item)) is not None)
    return tuple(islice(regions, MAX_REGIONS))


def _ultrasound_region(item: Dataset) -> UltrasoundRegion | None:
    """A region; None without all four corners, within a picture and in their order. A kind that is absent is 0."""
    corners = [_whole(item, f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    x0, y0, x1, y1 = (-1 if corner is None else corner for corner in corners)
    if not (0 <= x0 <= x1 <= MAX_SIDE and 0 <= y0 <= y1 <= MAX_SIDE):
        return None
    kinds = (_whole(item, keyword) or 0 for keyword in ("RegionSpatialFormat", "RegionDataType"))
    return UltrasoundRegion(x0, y0, x1, y1, *kinds)


def _whole(dataset: Dataset, keyword: str) -> int | None:
    value = values.number(dataset, keyword)
    return None if value is None else int(value)


def patient_key(dataset: Dataset) -> str:
    """Patient ID and its issuer, which together name a person; empty without the former."""
    patient = values.text(dataset, "PatientID")
    return f"{patient}\\{values.text(dataset, 'IssuerOfPatientID')}" if patient else ""
