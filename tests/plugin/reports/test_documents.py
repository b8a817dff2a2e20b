"""Key object selections and structured reports, as highdicom, pydicom, dcmtk and dicom3tools read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from highdicom.sr import ComprehensiveSR
from pydicom import Dataset, dcmread

from cbmir.errors import BadRequest
from cbmir.reports import concepts
from cbmir.reports.key_objects import key_objects
from cbmir.reports.reference import Origin, Reference
from cbmir.reports.similar_images import similar_images

Make = Callable[..., Dataset]
Hits = tuple[Reference, ...]
Write = Callable[[Dataset], Path]
Read = Callable[..., str]


@pytest.fixture(params=["KO", "SR"])
def document(request: pytest.FixtureRequest, query: Reference, hits: Hits, origin: Origin) -> Make:
    """Makes one of the two documents of a header."""

    def make(header: Dataset, found: Hits = hits) -> Dataset:
        if request.param == "KO":
            return key_objects(header, [query, *found], origin, description="Similar images")
        return similar_images(header, query, found, origin)

    return make


def evidence(sequence: Sequence[Dataset]) -> dict[str, dict[str, set[str]]]:
    """Study to series to objects."""
    return {
        study.StudyInstanceUID: {
            series.SeriesInstanceUID: {each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence}
            for series in study.ReferencedSeriesSequence
        }
        for study in sequence
    }


def test_it_is_of_the_querys_patient_and_study(document: Make, make_header: Make, written: Write) -> None:
    read = dcmread(written(document(make_header())))
    assert (read.PatientName, read.PatientID, read.IssuerOfPatientID) == ("Doe^Jane", "P-4711", "HOSPITAL")
    assert (read.PatientBirthDate, read.PatientSex, read.StudyDate) == ("19700203", "F", "20240506")
    assert (read.StudyInstanceUID, read.AccessionNumber) == ("1.2.3", "A99")
    assert read.SeriesInstanceUID not in ("1.2.3.4", "1.2.3.9")
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID


def test_dicom3tools_finds_no_error(document: Make, make_header: Make, written: Write, read_by: Read) -> None:
    said = read_by("dciodvfy", written(document(make_header()))).splitlines()
    assert [line for line in said[1:] if "<99CBMIR>" not in line] == []  # a private scheme, declared as such
    assert said[0] in ("KeyObjectSelectionDocument", "ComprehensiveSR")


def test_dcmtk_reads_it(document: Make, make_header: Make, written: Write, read_by: Read) -> None:
    path = written(document(make_header()))
    said = read_by("dsrdump", "-Ee", path)
    assert "Doe^Jane" in said
    assert not [line for line in said.splitlines() if line.startswith(("E:", "F:"))]
    assert "1.2.4.4.5" in read_by("dcmdump", path)


def test_the_same_answer_gives_the_same_uids(document: Make, make_header: Make, hits: Hits) -> None:
    one, again, fewer = document(make_header()), document(make_header()), document(make_header(), hits[:2])
    assert (one.SOPInstanceUID, one.SeriesInstanceUID) == (again.SOPInstanceUID, again.SeriesInstanceUID)
    assert one.SOPInstanceUID != fewer.SOPInstanceUID


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ],
)
def test_the_patients_name_survives_in_its_own_character_set(
    document: Make, make_header: Make, written: Write, character_set: str | list[str], name: str
) -> None:
    read = dcmread(written(document(make_header(SpecificCharacterSet=character_set, PatientName=name))))
    assert (read.SpecificCharacterSet, str(read.PatientName)) == (character_set, name)


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 999", "", None])
def test_what_its_character_set_cannot_say_makes_it_utf_8(
    make_header: Make, query: Reference, origin: Origin, written: Write, character_set: str | None
) -> None:
    header = make_header(PatientName="Müller^Jürgen")
    if character_set is not None:
        header.SpecificCharacterSet = character_set
    hit = Reference("1.2.4", "1.2.4.1", query.sop_class_uid, "1.2.4.1.1", None, 1, 0.5, {"befund": "žádný"})
    read = dcmread(written(similar_images(header, query, [hit], origin)))
    assert (read.SpecificCharacterSet, str(read.PatientName)) == ("ISO_IR 192", "Müller^Jürgen")
    assert "befund: žádný" in [item.get("TextValue") for item in read.ContentSequence[-1].ContentSequence]


def test_odd_values_of_the_archive_stay_as_they_are(document: Make, make_header: Make, written: Write) -> None:
    header = make_header(StudyID=None, AccessionNumber=None, ReferringPhysicianName=None)
    header.PatientSex, header.PatientBirthDate = "W", ""
    read = dcmread(written(document(header)))
    assert (read.PatientSex, read.PatientBirthDate, read.StudyID, read.AccessionNumber) == ("W", "", "", "")


def test_key_objects_name_all_evidence_and_frames(
    make_header: Make, query: Reference, hits: Hits, origin: Origin, written: Write
) -> None:
    path = written(key_objects(make_header(), [query, *hits], origin, concepts.FOR_TEACHING, "Two frames"))
    read = KeyObjectSelectionDocument.from_dataset(dcmread(path))
    assert evidence(read.CurrentRequestedProcedureEvidenceSequence) == {
        "1.2.3": {"1.2.3.4": {"1.2.3.4.5"}, "1.2.3.9": {"1.2.3.9.1"}},
        "1.2.4": {"1.2.4.4": {"1.2.4.4.5"}},
        "1.2.6": {"1.2.6.4": {"1.2.6.4.5"}},
    }
    items = read.content.get_references()
    assert [(item.value_type.value, item.referenced_sop_instance_uid) for item in items] == [
        ("IMAGE", "1.2.3.4.5"),
        ("IMAGE", "1.2.3.9.1"),
        ("IMAGE", "1.2.4.4.5"),
        ("COMPOSITE", "1.2.6.4.5"),
    ]
    assert [item.referenced_frame_numbers for item in items[:3]] == [None, None, [3, 7]]
    title = read.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113004", "DCM")


@pytest.mark.parametrize(
    ("sop_class", "value_type"),
    [
        ("1.2.840.10008.5.1.4.1.1.481.2", "COMPOSITE"),  # RT Dose
        ("1.2.840.10008.5.1.4.1.1.66.7", "COMPOSITE"),  # Label Map Segmentation, newer than dcmtk 3.6.7
        ("1.3.46.670589.5.0.1", "COMPOSITE"),  # private
        ("1.2.840.10008.5.1.4.1.1.66.4", "IMAGE"),  # Segmentation
        ("1.2.840.10008.5.1.4.1.1.1.2", "IMAGE"),  # Digital Mammography X-Ray Image, for presentation
    ],
)
def test_dcmtk_reads_references_to_every_class(
    document: Make, make_header: Make, written: Write, read_by: Read, sop_class: str, value_type: str
) -> None:
    hit = Reference("1.2.4", "1.2.4.1", sop_class, "1.2.4.1.1", None, 1, 0.5)
    said = read_by("dsrdump", written(document(make_header(), (hit,))))
    references = [line for line in said.splitlines() if "contains IMAGE:" in line or "contains COMPOSITE:" in line]
    assert len(references) == 2
    assert f"contains {value_type}:" in references[1]


def test_the_report_says_rank_distance_frame_and_labels(
    make_header: Make, query: Reference, hits: Hits, origin: Origin, written: Write, read_by: Read
) -> None:
    path = written(similar_images(make_header(), query, hits, origin))
    read = ComprehensiveSR.from_dataset(dcmread(path))
    assert evidence(read.CurrentRequestedProcedureEvidenceSequence) == {
        "1.2.3": {"1.2.3.4": {"1.2.3.4.5"}, "1.2.3.9": {"1.2.3.9.1"}}
    }
    assert set(evidence(read.PertinentOtherEvidenceSequence)) == {"1.2.4", "1.2.6"}
    assert (read.PreliminaryFlag, read.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    said = read_by("dsrdump", path)
    assert '"Algorithm Name")="cnn-autoencoder-1a2b3c4d"' in said
    found = read.content[0].ContentSequence[-4:]
    numbers = [[each.value for each in hit.ContentSequence[:2]] for hit in found]
    assert numbers == [[hit.rank, pytest.approx(hit.distance, abs=1e-15)] for hit in hits]
    assert found[1].ContentSequence[2].referenced_frame_numbers == [7]
    assert found[1].ContentSequence[3].value == "subclass: no_tumor"
    units = [each.unit for hit in found for each in hit.ContentSequence[:2]]
    assert {(unit.value, unit.scheme_designator) for unit in units} == {("1", "UCUM")}


def test_nothing_but_uids_of_other_patients_gets_in(document: Make, make_header: Make, written: Write) -> None:
    names = [str(each.value) for each in dcmread(written(document(make_header()))).iterall() if each.VR == "PN"]
    assert sorted(names) == ["Doe^Jane", "House^Gregory"]


def test_a_report_about_a_private_class_is_refused(
    make_header: Make, query: Reference, hits: Hits, origin: Origin
) -> None:
    with pytest.raises(BadRequest, match=r"storage class.*1\.3\.46\.670589"):
        similar_images(make_header(SOPClassUID="1.3.46.670589.5.0.1"), query, hits, origin)
