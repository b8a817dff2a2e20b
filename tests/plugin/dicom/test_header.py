"""What is kept of a header, and what never is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cbmir.dicom.header import describe
from cbmir.dicom.read import read_dataset
from cbmir.errors import BrokenFile
from cbmir.types import InstanceHeader

PIXELS = np.zeros((2, 2), np.uint8)


@pytest.fixture
def header(make_object: Any, encode: Any) -> Any:
    def header(**elements: Any) -> InstanceHeader:
        return describe(read_dataset(encode(make_object(PIXELS, **elements)), "a.dcm"), "a.dcm")

    return header


def test_identifiers_are_kept(header: Any) -> None:
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


def test_issuers_tell_equal_ids_apart(header: Any) -> None:
    assert header(PatientID="1", IssuerOfPatientID="A").patient_key != header(PatientID="1").patient_key


def test_what_is_absent_is_empty(header: Any) -> None:
    found = header(Modality=None)
    assert (found.modality, found.body_part, found.study_instance_uid, found.patient_key) == ("", "", "", "")


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.<script>", "1." + "2" * 80, "1..2", "1"])
def test_an_invalid_uid_is_not_kept(header: Any, uid: str) -> None:
    assert header(StudyInstanceUID=uid).study_instance_uid == ""


def test_the_meta_header_lends_its_uid(make_object: Any, encode: Any) -> None:
    dataset = make_object(PIXELS, SOPInstanceUID=None)
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.9"
    assert describe(read_dataset(encode(dataset), "a"), "a").sop_instance_uid == "1.2.9"


def test_without_any_uid_the_file_is_broken(make_object: Any) -> None:
    dataset = make_object(PIXELS, SOPInstanceUID="not a uid")
    del dataset.file_meta.MediaStorageSOPInstanceUID
    with pytest.raises(BrokenFile, match=r"x\.dcm has no valid SOP Instance UID"):
        describe(dataset, "x.dcm")


def test_codes_hold_no_markup(header: Any) -> None:
    found = header(Modality="<b>MR</b>", BodyPartExamined='HEAD"><script>')
    assert not set("<>\"'&") & set(found.modality + found.body_part)


def test_the_body_part_of_an_enhanced_object_lies_in_its_functional_groups(make_object: Any) -> None:
    region, anatomy, shared = Dataset(), Dataset(), Dataset()
    region.CodeMeaning = "Brain"
    anatomy.AnatomicRegionSequence = [region]
    shared.FrameAnatomySequence = [anatomy]
    dataset = make_object(PIXELS, SharedFunctionalGroupsSequence=[shared])
    assert describe(dataset, "a").body_part == "BRAIN"
