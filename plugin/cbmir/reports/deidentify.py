"""De-identified copies by the Basic Application Level Confidentiality Profile (PS3.15 E.1, E.2).

The table of what becomes of which attribute is dicom-anonymizer's (PS3.15 Table E.1-1, 2024b), and so are the
dummy values but for dates. Done here, since that library does not: attributes within items of sequences; UIDs that
are consistent within one export and forgotten after it; dates that are to be removed, which it replaces; names,
dates and UIDs that the table does not list; text and data that name the patient again; overlays and curves as a
whole; the markers of Patient Identity Removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from dicomanonymizer import simpledicomanonymizer as profile
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import FileMetaDataset
from pydicom.uid import generate_uid

from cbmir.errors import BadRequest
from cbmir.reports.identities import Identities

TABLE: dict[tuple[int, ...], Callable[..., None]] = profile.initialize_actions_2024b()
REMOVED, REFERENCES = profile.delete, profile.delete_or_empty_or_replace_UID
EMPTIED = (profile.empty, profile.delete_or_empty)
DISPENSABLE = (profile.delete_or_replace, profile.delete_or_empty_or_replace)
"""What becomes of an attribute may be its removal, too, where no module requires it: so of sequences."""

STANDARD = "1.2.840.10008."
"""UIDs that begin so mean the same everywhere (PS3.6 annex A)."""
CLASSES = ("SOPClassUID", "ReferencedSOPClassUID")

WHOLE = ("AS", "CS", "DS", "IS")
"""Value representations that name a patient only as a whole value."""
TEXTS = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "WaveformData")
UNLISTED = ("PN", "DA", "DT", "TM")
"""Value representations that get a dummy value also where the table does not list the attribute."""
DATES = {"DA": "19000101", "DT": "19000101000000"}
"""Dummies: the library's, of the year 1, are no dates to dicom3tools."""

METHOD = ("PS3.15 E.1 Basic Application Confidentiality Profile", "cbmir with dicom-anonymizer, table of 2024b")


class Deidentifier:
    """One export: an original UID becomes the same new one wherever it stands, a patient the same case."""

    def __init__(self) -> None:
        self._uids: dict[str, str] = {}
        self._cases: dict[tuple[str, ...], str] = {}
        self._name = f"CASE-{secrets.token_hex(4).upper()}"

    def uid(self, original: str) -> str:
        """The UID of the export that stands for `original`; one of the standard's stays as it is."""
        if not original or original.startswith(STANDARD):
            return original
        return self._uids.setdefault(original, str(generate_uid(None)))

    def apply(self, dataset: Dataset) -> None:
        """Make the object a de-identified copy of itself.

        Raises:
            cbmir.errors.BadRequest: if its pixels or its waveform hold text that names the patient.
        """
        identities, case = Identities.of(dataset), self._case(dataset)
        self._clean(dataset, identities)
        dataset.PatientName = dataset.PatientID = case
        _mark(dataset)
        dataset.preamble = bytes(128)
        dataset.file_meta = _meta(dataset)

    def _case(self, dataset: Dataset) -> str:
        patient = tuple(str(dataset.get(each, "")) for each in ("IssuerOfPatientID", "PatientID"))
        key = patient if patient[1] else ("study", str(dataset.get("StudyInstanceUID", "")))
        return self._cases.setdefault(key, f"{self._name}-{len(self._cases) + 1}")

    def _clean(self, dataset: Dataset, identities: Identities) -> None:
        for element in list(dataset):
            rule = TABLE.get((element.tag.group, element.tag.element))
            if rule is REMOVED or _is_foreign(element) or (element.VR == "SQ" and rule in DISPENSABLE):
                del dataset[element.tag]
            elif element.VR == "SQ":
                self._clean_items(element, rule, identities)
            elif element.VR == "UI":
                self._replace_uids(element)
            elif rule is not None or element.VR in UNLISTED:
                _blank(dataset, element, empty=rule in EMPTIED)
            else:
                _silence(element, identities)

    def _clean_items(self, element: DataElement, rule: Callable[..., None] | None, identities: Identities) -> None:
        if rule is not None and rule is not REFERENCES:
            element.value = []
        for item in element.value:
            self._clean(item, identities)

    def _replace_uids(self, element: DataElement) -> None:
        if element.keyword in CLASSES or not element.value:
            return
        element.value = [self.uid(str(each)) for each in _values(element)]


def _is_foreign(element: DataElement) -> bool:
    """Private, unknown to the standard, or of an overlay or a curve, which may be text or a signature."""
    group = element.tag.group
    return element.tag.is_private or group & 0xFF00 in (0x5000, 0x6000) or not dictionary_has_tag(element.tag)


def _blank(dataset: Dataset, element: DataElement, *, empty: bool) -> None:
    """Give the attribute no value, or a dummy; what the library has no dummy for goes."""
    if empty or element.VR in DATES:
        element.value = None if empty else DATES[str(element.VR)]
        return
    try:
        profile.replace_element(element)
    except NotImplementedError:
        del dataset[element.tag]


def _silence(element: DataElement, identities: Identities) -> None:
    """Replace the values that name the patient.

    Raises:
        cbmir.errors.BadRequest: if the value is pixels or a waveform.
    """
    if isinstance(element.value, bytes):
        if identities.in_bytes(element.value):
            _refuse_pixels(element)
            element.value = None
        return
    told = [_tells(element, str(each), identities) for each in _values(element)]
    if any(told):
        kept = _values(element)
        profile.replace_element(element)
        element.value = [element.value if tells else each for tells, each in zip(told, kept, strict=True)]


def _tells(element: DataElement, value: str, identities: Identities) -> bool:
    if element.VR in WHOLE:  # MONOCHROME2 says nothing of Mr Mono; how pixels are made, nothing of anybody
        return element.tag.group != 0x0028 and value.lower() in identities.texts
    return element.VR in TEXTS and identities.in_text(value)


def _refuse_pixels(element: DataElement) -> None:
    if element.keyword in PIXELS:
        raise BadRequest("The pixels or the waveform of an object hold text that names its patient.")


def _values(element: DataElement) -> list[object]:
    return list(element.value) if element.VM > 1 else [element.value]


def _mark(dataset: Dataset) -> None:
    """Say that it is de-identified, and how (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1; CID 7050)."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = list(METHOD)
    dataset.DeidentificationMethodCodeSequence = [code]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def _meta(dataset: Dataset) -> FileMetaDataset:
    """A meta header (PS3.10 7.1) without what the original's says of its sender."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return meta
