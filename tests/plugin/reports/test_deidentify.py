"""De-identified copies: nothing of the original's identity is left, and what remains is whole and says so."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, MRImageStorage

from cbmir.errors import BadRequest
from cbmir.quiet import contained
from cbmir.reports.burned_in import may_show_text
from cbmir.reports.deidentify import Deidentifier
from cbmir.reports.identities import Identities

ROOT = "1.2.826.0.1.999"
TELLING = (
    "Zimmermann", "Adelheid", "KH-4711", "Quincke", "Sankt Marien", "19610714", "20190403", "ACC-8812", "Fontane",
    "1961-07-14", ROOT,
)  # fmt: skip


def item(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
def make_original() -> Callable[..., Dataset]:
    """An MR object that tells who its patient is wherever it can."""

    def make(number: int = 1, study: int = 1) -> Dataset:
        original = Dataset()
        original.file_meta = FileMetaDataset()
        original.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        original.file_meta.MediaStorageSOPClassUID = original.SOPClassUID = MRImageStorage
        original.file_meta.MediaStorageSOPInstanceUID = original.SOPInstanceUID = f"{ROOT}.{study}.1.{number}"
        original.file_meta.SourceApplicationEntityTitle = "QUINCKE"
        original.preamble = b"Zimmermann".ljust(128, b"\0")
        original.SpecificCharacterSet = "ISO_IR 100"
        original.StudyInstanceUID, original.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.1"
        original.FrameOfReferenceUID = f"{ROOT}.{study}.7"
        original.PatientName, original.PatientID, original.PatientBirthDate = (
            "Zimmermann^Adelheid",
            "KH-4711",
            "19610714",
        )
        original.IssuerOfPatientID, original.InstitutionName = "Sankt Marien", "Sankt Marien"
        original.AccessionNumber, original.ReferringPhysicianName = "ACC-8812", "Fontane^Theodor"
        original.StudyDate = original.SeriesDate = original.AcquisitionDate = original.ContentDate = "20190403"
        original.AcquisitionDateTime, original.PerformedProcedureStepStartDate = "20190403101112", "20190403"
        original.StudyDescription, original.ImageComments = (
            "Head of Zimmermann",
            "Frau Adelheid Zimmermann, 1961-07-14",
        )
        original.AcquisitionProtocolDescription, original.EvaluatorName = "for Dr Fontane", "Fontane^Theodor"
        original.SequenceName, original.Modality = "t1_Zimmermann", "MR"
        original.ExpiryDate, original.StudyUpdateDateTime = "20190403", "20190403"
        original.VolumeFrameOfReferenceUID = f"{ROOT}.{study}.8"
        original.OtherPatientIDsSequence = [item(PatientID="KH-4711", IssuerOfPatientID="Sankt Marien")]
        original.ReferencedImageSequence = [
            item(ReferencedSOPClassUID=MRImageStorage, ReferencedSOPInstanceUID=f"{ROOT}.{study}.1.{number + 1}")
        ]
        original.ReferencedStudySequence = [item(ReferencedSOPInstanceUID=f"{ROOT}.{study}")]
        code = item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="Plan of Dr Quincke")
        inner = item(
            ConceptNameCodeSequence=[code], PersonName="Quincke^Heinrich", OperatorsName="Quincke^Heinrich"
        )
        original.ProcedureCodeSequence = [inner]
        original.ViewCodeSequence = [inner]
        original.RequestAttributesSequence = [item(RequestedProcedureID="ACC-8812", ScheduledProcedureStepID="S")]
        block = original.private_block(0x0029, "Sankt Marien private", create=True)
        block.add_new(0x01, "LO", "Zimmermann^Adelheid")
        block.add_new(0x02, "UN", b"KH-4711 born 19610714")
        block.add_new(0x03, "SQ", [item(PatientName="Zimmermann^Adelheid")])
        original.add_new(0x60000010, "US", 24)
        original.add_new(0x60000011, "US", 24)
        original.add_new(0x60000022, "LO", "Overlay of Zimmermann")
        original.add_new(0x60003000, "OW", b"Zimmermann".ljust(72, b"\0"))
        original.add_new(0x60004000, "LT", "Adelheid")
        original.add_new(0x00081195, "UI", f"{ROOT}.99")
        original.ICCProfile = b"profile made at Sankt Marien".ljust(30, b"\0")
        original.DataSetTrailingPadding = b"Zimmermann".ljust(16, b"\0")
        original.Rows = original.Columns = 24
        original.SamplesPerPixel, original.PhotometricInterpretation = 1, "MONOCHROME2"
        original.BitsAllocated, original.BitsStored, original.HighBit, original.PixelRepresentation = 16, 12, 11, 0
        pixels = np.random.default_rng(number).integers(0, 4095, (24, 24), dtype=np.uint16)
        original.PixelData = pixels.tobytes()
        return original

    return make


def bytes_of(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def found_in(data: bytes) -> list[str]:
    return [text for text in TELLING if text.lower().encode() in data.lower()]


def test_the_original_tells_all_of_it(make_original: Callable[..., Dataset]) -> None:
    assert found_in(bytes_of(make_original())) == list(TELLING)


def test_the_copy_tells_none_of_it(make_original: Callable[..., Dataset]) -> None:
    data = bytes_of(make_original())
    copy = dcmread(BytesIO(data))
    Deidentifier().apply(copy)
    assert found_in(bytes_of(copy)) == []
    read, original = dcmread(BytesIO(bytes_of(copy))), dcmread(BytesIO(data))
    assert (read.pixel_array == original.pixel_array).all()
    assert [element.tag for element in read.iterall() if element.tag.is_private] == []
    assert (read.SOPClassUID, read.Modality, read.PhotometricInterpretation) == (
        MRImageStorage,
        "MR",
        "MONOCHROME2",
    )
    assert read.ViewCodeSequence[0].ConceptNameCodeSequence[0].CodeValue == "1"


def test_it_says_that_it_is_one(
    make_original: Callable[..., Dataset], tmp_path: Path, read_by: Callable[..., str]
) -> None:
    copy = make_original()
    Deidentifier().apply(copy)
    (tmp_path / "copy.dcm").write_bytes(bytes_of(copy))
    said = read_by("dcmdump", "+P", "0012,0062", "+P", "0012,0063", "+P", "0012,0064", tmp_path / "copy.dcm")
    assert "[YES]" in said
    assert "PS3.15 E.1" in said
    assert copy.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert copy.LongitudinalTemporalInformationModified == "REMOVED"


def test_one_export_gives_one_uid_the_same_new_one_and_another_export_another(
    make_original: Callable[..., Dataset],
) -> None:
    first, second, other, elsewhere = (
        make_original(1),
        make_original(2),
        make_original(1, study=2),
        make_original(1),
    )
    together = Deidentifier()
    for each in (first, second, other):
        together.apply(each)
    Deidentifier().apply(elsewhere)
    assert first.StudyInstanceUID == second.StudyInstanceUID != other.StudyInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPClassUID == MRImageStorage
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.PatientID == second.PatientID == other.PatientID == str(first.PatientName)
    assert first.SOPInstanceUID != elsewhere.SOPInstanceUID
    assert first.PatientID != elsewhere.PatientID


def test_patients_stay_apart(make_original: Callable[..., Dataset]) -> None:
    one, another, nameless, unknown = (make_original(study=number) for number in range(4))
    another.PatientID, nameless.PatientID, unknown.PatientID = "KH-4712", "", ""
    together = Deidentifier()
    for each in (one, another, nameless, unknown):
        together.apply(each)
    assert len({each.PatientID for each in (one, another, nameless, unknown)}) == 4


def test_a_name_within_compressed_pixels_is_refused(make_original: Callable[..., Dataset]) -> None:
    original = make_original()
    original.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    original.PixelData = b"\xff\xd8\xff\xfe\x00\x10Zimmermann\0\0\0\0\xff\xd9"
    with pytest.raises(BadRequest, match="hold text that names its patient"):
        Deidentifier().apply(original)


def test_words_that_a_name_is_part_of_stay_if_they_are_codes(make_original: Callable[..., Dataset]) -> None:
    original = make_original()
    original.PatientName, original.BodyPartExamined = "Mono^Chest", "CHEST"
    original.ImageType = ["ORIGINAL", "PRIMARY", "CHEST"]
    original.PatientID, original.SeriesNumber, original.InstanceNumber = "47110815", "47110815", "4711"
    Deidentifier().apply(original)
    assert (original.PhotometricInterpretation, original.InstanceNumber) == ("MONOCHROME2", 4711)
    assert original.ImageType == ["ORIGINAL", "PRIMARY", "ANONYMIZED"]
    assert (original.BodyPartExamined, original.SeriesNumber) == ("ANONYMIZED", 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"Modality": "MR"}, False),
        ({"Modality": "MR", "BurnedInAnnotation": "YES"}, True),
        ({"Modality": "US"}, True),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, False),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, True),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, True),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1"}, False),
        ({"BurnedInAnnotation": None}, False),
    ],
)
def test_where_text_may_stand_in_the_pixels(header: dict[str, object], expected: bool) -> None:
    assert may_show_text(item(**header)) is expected


def test_real_objects_lose_their_identities_and_keep_their_pixels(shared: Path) -> None:
    done = 0
    for path in sorted((shared / "dicom" / "single").iterdir())[::12]:
        with contained():
            original, copy = dcmread(path, force=True), dcmread(path, force=True)
            if not original.get("SOPInstanceUID") or "TransferSyntaxUID" not in original.file_meta:
                continue
            identities = Identities.of(original)
            Deidentifier().apply(copy)
            data = bytes_of(copy).lower()
        texts = [text for text in identities.texts if len(text) > 5 and text not in ("anonymized", "removed")]
        assert [text for text in (*texts, original.SOPInstanceUID) if text.encode() in data] == [], path.name
        assert copy.get("PixelData") == original.get("PixelData")
        done += 1
    assert done > 5
