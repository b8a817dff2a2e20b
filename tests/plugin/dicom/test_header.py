"""What is kept of a header, and what never is."""

from __future__ import annotations

import warnings
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from cbmir.dicom.header import MAX_REGIONS, describe
from cbmir.types import InstanceHeader, UltrasoundRegion


def object_of(**elements: Any) -> Dataset:
    """A Secondary Capture object; None takes an element away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.9"
    dataset.Modality, dataset.PhotometricInterpretation = "OT", "MONOCHROME2"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def item(**elements: Any) -> Dataset:
    """The item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def header(**elements: Any) -> InstanceHeader:
    """What is kept of an object that was written and read."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests set what no object should hold
        object_of(**elements).save_as(buffer, enforce_file_format=True)
        buffer.seek(0)
        return describe(dcmread(buffer), "a.dcm")


@pytest.mark.parametrize(
    ("written", "kept"), [("dr", "DR"), ("OPT", "OPT"), ("SMITH^JOHN", "OT"), ("<b>MR</b>", "OT")]
)
def test_a_modality_is_one_of_those_that_there_are(written: str, kept: str) -> None:
    """Somebody's name may stand in its place, and a modality is a label, and stands in addresses."""
    assert header(Modality=written).modality == kept


def test_identifiers_are_kept() -> None:
    found = header(
        SOPInstanceUID="1.2.3",
        StudyInstanceUID="1.2.4",
        SeriesInstanceUID="1.2.5",
        Modality="mr",
        BodyPartExamined="Head",
        PatientID="77",
        IssuerOfPatientID="CLINIC",
    )
    assert (found.sop_instance_uid, found.study_instance_uid, found.series_instance_uid) == (
        "1.2.3",
        "1.2.4",
        "1.2.5",
    )
    assert (found.modality, found.body_part) == ("MR", "HEAD")
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"
    assert found.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert found.patient_key == "77\\CLINIC"
    assert "77" not in repr(found)


def test_issuers_tell_equal_ids_apart() -> None:
    assert header(PatientID="1", IssuerOfPatientID="A").patient_key != header(PatientID="1").patient_key


def test_what_is_absent_is_empty() -> None:
    found = header(Modality=None)
    assert (found.modality, found.body_part, found.study_instance_uid, found.patient_key) == ("", "", "", "")


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.<script>", "1." + "2" * 80, "1..2", "1"])
def test_an_invalid_uid_is_not_kept(uid: str) -> None:
    assert header(StudyInstanceUID=uid).study_instance_uid == ""


def test_the_meta_header_lends_its_uid() -> None:
    assert describe(object_of(SOPInstanceUID=None), "a").sop_instance_uid == "1.2.9"


def test_an_invalid_uid_is_none() -> None:
    dataset = object_of()
    dataset.add_new("SOPInstanceUID", "LO", "../not a uid")
    del dataset.file_meta.MediaStorageSOPInstanceUID
    assert describe(dataset, "x.dcm").sop_instance_uid == ""


def test_codes_hold_no_markup() -> None:
    found = header(Modality="<b>MR</b>", BodyPartExamined='HEAD"><script>')
    assert not set("<>\"'&") & set(found.modality + found.body_part)


def test_the_body_part_of_an_enhanced_object_lies_in_its_functional_groups() -> None:
    anatomy = item(AnatomicRegionSequence=[item(CodeMeaning="Brain")])
    shared = item(FrameAnatomySequence=[anatomy])
    assert header(SharedFunctionalGroupsSequence=[shared]).body_part == "BRAIN"
    assert header(PerFrameFunctionalGroupsSequence=[shared]).body_part == "BRAIN"


def test_what_is_absent_of_the_kind_of_picture_is_empty() -> None:
    found = header(PhotometricInterpretation=None)
    assert (found.photometric, found.burned_in_annotation, found.laterality, found.view_position) == ("",) * 4
    assert found.ultrasound_regions == ()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "YBR_FULL_422", "PALETTE COLOR"])
def test_the_photometric_interpretation(photometric: str) -> None:
    assert header(PhotometricInterpretation=photometric).photometric == photometric


@pytest.mark.parametrize(("written", "kept"), [("YES", "YES"), ("no", "NO"), ("MAYBE", ""), ("", "")])
def test_burned_in_annotation(written: str, kept: str) -> None:
    assert header(BurnedInAnnotation=written).burned_in_annotation == kept


@pytest.mark.parametrize(
    ("kind", "kept"), [("LABEL", "YES"), ("VOLUME", ""), ("OVERVIEW", ""), (None, "")], ids=str
)
def test_the_label_of_a_slide_is_text(kind: str | None, kept: str) -> None:
    assert header(ImageType=["ORIGINAL", "PRIMARY", *filter(None, [kind])]).burned_in_annotation == kept


def test_a_label_that_says_it_is_none_is_believed() -> None:
    said = header(ImageType=["DERIVED", "PRIMARY", "LABEL"], BurnedInAnnotation="NO")
    assert said.burned_in_annotation == "NO"


def test_the_images_laterality_comes_first() -> None:
    groups = [item(FrameAnatomySequence=[item(FrameLaterality="B")])]
    assert header(ImageLaterality="L", Laterality="R", SharedFunctionalGroupsSequence=groups).laterality == "L"
    assert header(Laterality="R", SharedFunctionalGroupsSequence=groups).laterality == "R"
    assert header(ImageLaterality="LEFT", SharedFunctionalGroupsSequence=groups).laterality == "B"
    assert header(PerFrameFunctionalGroupsSequence=groups).laterality == "B"


def test_the_view_position_or_the_view_codes_meaning() -> None:
    views = [item(CodeMeaning="medio-lateral <oblique>")]
    assert header(ViewPosition="mlo", ViewCodeSequence=views).view_position == "MLO"
    assert header(ViewCodeSequence=views).view_position == "MEDIO-LATERAL OB"
    assert header(ViewCodeSequence=[]).view_position == ""


def test_the_kind_of_equipment_is_kept_and_not_which_one_it_is() -> None:
    which = {"StationName": "WARD3", "DeviceSerialNumber": "SN77", "InstitutionName": "St Elsewhere"}
    found = header(Manufacturer="Siemens Healthineers", ManufacturerModelName="MAGNETOM Vida <XT>", **which)
    assert (found.manufacturer, found.model_name) == ("SIEMENS HEALTHINEERS", "MAGNETOM VIDA XT")
    assert not [said for said in which.values() if said.upper() in repr(found).upper()]
    assert (header().manufacturer, header().model_name) == ("", "")
    assert len(header(Manufacturer="x" * 70).manufacturer) == 64


def region(*corners: int, **more: int) -> Dataset:
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    return item(**dict(zip(names, corners, strict=False)), **more)


def test_ultrasound_regions() -> None:
    regions = [region(1, 2, 30, 40, RegionSpatialFormat=1, RegionDataType=2), region(5, 5, 5, 5)]
    expected = (UltrasoundRegion(1, 2, 30, 40, 1, 2), UltrasoundRegion(5, 5, 5, 5, 0, 0))
    assert header(SequenceOfUltrasoundRegions=regions).ultrasound_regions == expected


@pytest.mark.parametrize(
    "corners", [(), (1, 2, 3), (3, 0, 2, 9), (0, 3, 9, 2), (0, 0, 65_536, 9), (0, 0, 9, 2**32 - 1)]
)
def test_regions_that_make_no_sense_are_left_out(corners: tuple[int, ...]) -> None:
    regions = [region(*corners), region(0, 0, 1, 1)]
    assert [each.x1 for each in header(SequenceOfUltrasoundRegions=regions).ultrasound_regions] == [1]


def test_regions_without_end_are_cut_off() -> None:
    regions = [region(place, 0, place, 0) for place in range(MAX_REGIONS + 9)]
    found = header(SequenceOfUltrasoundRegions=regions).ultrasound_regions
    assert [each.x0 for each in found] == list(range(MAX_REGIONS))


def described(path: Path) -> InstanceHeader:
    return describe(dcmread(path), path.name)


def test_a_real_ultrasound_of_pydicoms() -> None:
    found = described(Path(get_testdata_file("examples_palette.dcm")))
    assert found.photometric == "PALETTE COLOR"
    assert found.ultrasound_regions[0] == UltrasoundRegion(120, 60, 800, 518, 1, 1)
    assert found.ultrasound_regions[1].spatial_format == 4


@pytest.mark.shared
def test_a_real_radiograph(shared: Path) -> None:
    found = described(shared / "dicom" / "single" / "ImagingDataCommons+highdicom__dx_image.dcm")
    assert (found.burned_in_annotation, found.laterality) == ("NO", "L")


@pytest.mark.shared
def test_a_real_radiograph_of_a_series_with_a_laterality(shared: Path) -> None:
    found = described(shared / "dicom" / "broken" / "real" / "robyoung+dicom-test-files__RG3_JPLY.dcm")
    assert (found.laterality, found.view_position) == ("R", "AP")


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        ({"StudyDate": "20240131", "SeriesDate": "20240201"}, date(2024, 1, 31)),
        ({"StudyDate": "", "SeriesDate": "20240201"}, date(2024, 2, 1)),
        ({"AcquisitionDate": "20240203", "ContentDate": "20240204"}, date(2024, 2, 3)),
        ({"ContentDate": "20240204"}, date(2024, 2, 4)),
        ({"StudyDate": "2024.01.31"}, date(2024, 1, 31)),  # as ACR-NEMA wrote it
        ({"StudyDate": "20240230", "ContentDate": "20240229"}, date(2024, 2, 29)),  # no calendar has the former
        ({"StudyDate": "2024"}, None),
        ({"StudyDate": "00000000"}, None),
        ({"StudyDate": "yesterday"}, None),
        ({"PatientBirthDate": "19700101"}, None),
        ({}, None),
    ],
)
def test_the_study_date_is_the_first_that_is_a_date(elements: dict[str, str], day: date | None) -> None:
    found = header(**elements)
    assert found.study_date == day
    assert "2024" not in repr(found), "a date is patient data: no log shows it by chance"
