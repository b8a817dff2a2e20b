"""Whose document it is: patient and study of the query's own header, copied as the archive has them."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from pydicom import Dataset
from pydicom.charset import convert_encodings, python_encoding

PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
"""Attributes of the Patient module (PS3.3 C.7.1.1) by which archives tell patients apart."""

STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
"""Those of the General Study module (PS3.3 C.7.2.1) that an object must have."""

OPTIONAL = (
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
)

UTF_8 = "ISO_IR 192"


def bare(header: Dataset) -> Dataset:
    """What highdicom asks of an object that a document is about, its patient left blank.

    highdicom refuses sexes and dates that are not as the standard has them; `adopt` copies them as they are.
    """
    host = Dataset()
    for keyword in (*PATIENT, *STUDY):
        setattr(host, keyword, "")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        setattr(host, keyword, str(header[keyword].value))
    return host


def adopt(document: Dataset, header: Dataset, texts: Iterable[str]) -> None:
    """Make the document, which holds `texts`, one of the header's patient and study."""
    document.SpecificCharacterSet = character_set(header, texts)
    for keyword in (*PATIENT, *STUDY, *OPTIONAL):
        if keyword in header:
            document.add(header[keyword])


def character_set(header: Dataset, texts: Iterable[str]) -> str | list[str]:
    """Specific Character Set (0008,0005) of a document that also holds `texts`: the header's own, else UTF-8."""
    declared = header.get("SpecificCharacterSet") or UTF_8
    terms = [declared] if isinstance(declared, str) else [str(each) for each in declared]
    if not set(terms) <= set(python_encoding) or not _encodable(texts, terms):
        return UTF_8
    return terms[0] if len(terms) == 1 else terms


def _encodable(texts: Iterable[str], terms: list[str]) -> bool:
    encoding = convert_encodings(terms)[0]
    try:
        "".join(texts).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def to_bytes(document: Dataset) -> bytes:
    """The document as a file (PS3.10)."""
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
