"""What in a header says who the patient is, and whether a text or some bytes say it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom import DataElement, Dataset

TELLING = (
    "PatientID",
    "OtherPatientIDs",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "MilitaryRank",
    "MedicalRecordLocator",
    "AdmissionID",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
)
"""Attributes, beside every person's name, whose values must not stand anywhere else in a de-identified copy."""

SHORTEST_NAME, SHORTEST, SHORTEST_IN_BYTES = 3, 4, 6
"""Characters below which a part of a name, another value, and a value among pixels may be found by chance."""


@dataclass(frozen=True)
class Identities:
    """Texts, in lower case, that identify the patients, physicians and places of some headers."""

    texts: frozenset[str]

    @classmethod
    def of(cls, dataset: Dataset) -> Identities:
        """Those of one header, its items and private elements included."""
        return cls(frozenset(text for element in dataset.iterall() for text in _telling(element)))

    def joined(self, others: Iterable[Identities]) -> Identities:
        """These and those of others."""
        return Identities(self.texts.union(*(each.texts for each in others)))

    def in_text(self, text: str) -> bool:
        """Whether `text` says any of them."""
        lower = text.lower()
        return any(each in lower for each in self.texts)

    def in_bytes(self, data: bytes) -> bool:
        """Whether one of some length stands in `data` as it is, in lower or in upper case, in UTF-8 or Latin-1."""
        return any(form in data for text in self.texts if len(text) >= SHORTEST_IN_BYTES for form in _forms(text))


def _forms(text: str) -> set[bytes]:
    cases = {text, text.upper(), text.title()}
    latin = {each.encode("latin-1") for each in cases if each.isascii() or max(map(ord, each)) < 256}
    return latin | {each.encode() for each in cases}


def _telling(element: DataElement) -> Iterator[str]:
    if element.VR == "PN":
        parts = str(element.value).replace("\\", "^").replace("=", "^").replace(" ", "^").strip("[]").split("^")
        yield from _of_length(parts, SHORTEST_NAME)
    elif element.keyword in TELLING:
        values = element.value if element.VM > 1 else [element.value]
        yield from _of_length([str(each) for each in values], SHORTEST)


def _of_length(parts: Iterable[str], least: int) -> Iterator[str]:
    for part in parts:
        text = part.strip(" ,'\"").lower()
        if len(text) >= least or (not text.isascii() and len(text) > 1):
            yield text
