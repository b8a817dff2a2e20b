"""The part of a DICOM header that every phantom has: patient, study, series, equipment (PS3.3 C.7, C.12.1)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

DAY, TIME = "20260105", "080000"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cbmir:phantoms")


@dataclass(frozen=True)
class Study:
    """One visit of one drawn patient: an examination with a single series.

    Attributes:
        patient: number of the patient in the whole archive, from 1.
        subclass: what the examination shows.
        seed: of the archive; two archives of different seeds share no UID.
    """

    patient: int
    subclass: str
    seed: int

    @property
    def patient_id(self) -> str:
        return f"PHANTOM-{self.seed}-{self.patient:05d}"

    def uid(self, *parts: object) -> UID:
        """A UID of this visit that is the same in every run (PS3.5 B.2: from a UUID)."""
        return UID(f"2.25.{uuid.uuid5(NAMESPACE, repr((self.seed, self.patient, *parts))).int}")

    def header(self, sop_class: UID, modality: str, number: int) -> Dataset:
        """The header of the visit's object `number`, from 1, in Explicit VR Little Endian."""
        dataset = Dataset()
        dataset.SOPClassUID = sop_class
        dataset.SOPInstanceUID = self.uid("instance", number)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.Modality = modality
        dataset.InstanceNumber = number
        self._patient_and_study(dataset)
        _equipment(dataset)
        return dataset

    def _patient_and_study(self, dataset: Dataset) -> None:
        dataset.PatientName = f"Phantom^{self.subclass.replace('_', ' ').title()}^{self.patient:05d}"
        dataset.PatientID = self.patient_id
        dataset.IssuerOfPatientID = "CBMIR-PHANTOMS"
        dataset.PatientBirthDate = f"{1940 + self.patient % 60}0101"
        dataset.PatientSex = "MF"[self.patient % 2]
        dataset.StudyInstanceUID = self.uid("study")
        dataset.SeriesInstanceUID = self.uid("series")
        dataset.StudyID = dataset.AccessionNumber = f"P{self.patient:05d}"
        dataset.StudyDescription = "Drawn phantom: nobody's data"
        dataset.SeriesNumber = 1
        dataset.ReferringPhysicianName = ""
        for event in ("Study", "Series", "Content"):
            setattr(dataset, f"{event}Date", DAY)
            setattr(dataset, f"{event}Time", TIME)


def _equipment(dataset: Dataset) -> None:
    dataset.Manufacturer = "cbmir"
    dataset.ManufacturerModelName = "phantoms"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.InstitutionName = "Drawing board"


def coded(code: Code) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def save(dataset: Dataset, path: Path, transfer_syntax: UID) -> None:
    """Write the object as a DICOM file (PS3.10), its pixels in the transfer syntax."""
    if transfer_syntax.is_encapsulated:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = transfer_syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
