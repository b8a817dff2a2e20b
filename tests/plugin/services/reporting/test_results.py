"""Results back to a real Orthanc: what is sent, where it lands, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.archive.registry import connect
from cbmir.errors import ArchiveUnavailable, BadRequest, NotFound
from cbmir.services.reporting.results import DocumentKind, send_results, write_results
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.store import instances


def test_both_documents_land_in_the_querys_study(hospital: Any) -> None:
    asked = hospital.objects["asked"]
    results = send_results(hospital.database, hospital.settings, hospital.ask("asked"), hospital.archive)
    (selection,), (report,) = hospital.stored("KO"), hospital.stored("SR")
    for document in (selection, report):
        assert document.StudyInstanceUID == asked.StudyInstanceUID
        assert (document.PatientID, document.PatientName) == (asked.PatientID, asked.PatientName)
        assert document.SpecificCharacterSet == "ISO_IR 100"
    assert results.documents == {"kos": selection.SOPInstanceUID, "sr": report.SOPInstanceUID}
    assert len(hospital.server.get("/studies")) == 4
    studies = {each.StudyInstanceUID for each in selection.CurrentRequestedProcedureEvidenceSequence}
    assert studies == {each.StudyInstanceUID for each in hospital.objects.values()}
    current = report.CurrentRequestedProcedureEvidenceSequence
    assert [each.StudyInstanceUID for each in current] == [asked.StudyInstanceUID]


def test_dicomweb_takes_them_too(hospital: Any) -> None:
    credentials = Credentials(username=hospital.server.username, password=hospital.server.password)
    address = f"{hospital.server.url}/dicom-web"
    archive = connect(Connection("web", ArchiveKind.DICOMWEB, address, credentials))
    send_results(hospital.database, hospital.settings, hospital.ask("volume"), archive)
    archive.close()
    assert (len(hospital.stored("KO")), len(hospital.stored("SR"))) == (1, 1)


def test_the_plain_image_among_the_hits_is_left_out_and_said(hospital: Any) -> None:
    results = send_results(hospital.database, hospital.settings, hospital.ask("asked"), hospital.archive)
    assert len(results.left_out) == 1
    assert "is a plain image, or has no UIDs" in results.left_out[0]
    (report,) = hospital.stored("SR")
    numbers = [item for item in report.ContentSequence if item.ValueType == "CONTAINER"]
    assert len(numbers) == results.hits


def test_a_frame_of_a_volume_is_named_and_a_single_frame_is_not(hospital: Any) -> None:
    send_results(hospital.database, hospital.settings, hospital.ask("volume"), hospital.archive)
    (report,) = hospital.stored("SR")
    query = next(item for item in report.ContentSequence if item.ValueType == "IMAGE")
    assert query.ReferencedSOPSequence[0].ReferencedFrameNumber == 1 + 5 // 2
    hits = [item.ContentSequence[2] for item in report.ContentSequence if item.ValueType == "CONTAINER"]
    assert [item for item in hits if "ReferencedFrameNumber" in item.ReferencedSOPSequence[0]] == []


def test_sending_twice_leaves_one_of_each(hospital: Any) -> None:
    kept = hospital.ask("asked")
    for _ in range(2):
        send_results(hospital.database, hospital.settings, kept, hospital.archive)
    assert (len(hospital.stored("KO")), len(hospital.stored("SR"))) == (1, 1)


def test_only_what_is_wanted_is_sent_and_no_patient_data_stays_behind(hospital: Any) -> None:
    kept = hospital.ask("asked")
    before = {path.name for path in hospital.settings.data.iterdir()}
    send_results(hospital.database, hospital.settings, kept, hospital.archive, {DocumentKind.SR})
    assert (len(hospital.stored("KO")), len(hospital.stored("SR"))) == (0, 1)
    assert {path.name for path in hospital.settings.data.iterdir()} == before


def test_an_answer_that_is_not_kept_can_be_written_to_files(hospital: Any, tmp_path: Path) -> None:
    question = Question(k=3, sop_instance_uid=hospital.objects["asked"].SOPInstanceUID)
    answer = retrieve(hospital.database, hospital.settings, question)
    write_results(hospital.database, hospital.settings, answer, hospital.archive, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["kos.dcm", "sr.dcm"]
    if program := shutil.which("dsrdump"):
        for path in (tmp_path / "out").iterdir():
            subprocess.run([program, path], check=True, capture_output=True)
    assert hospital.stored("SR") == []


def test_other_patients_are_named_by_uids_alone(hospital: Any, tmp_path: Path) -> None:
    write_results(hospital.database, hospital.settings, hospital.ask("asked"), hospital.archive, tmp_path)
    for name in ("kos.dcm", "sr.dcm"):
        data = (tmp_path / name).read_bytes()
        assert b"Zimmermann" in data
        assert [
            text for text in (b"Quincke", b"Fontane", b"Wrangel", b"KH-4712", b"ACC-8812") if text in data
        ] == []


def test_a_query_by_a_plain_image_is_refused(hospital: Any, make_png: Any) -> None:
    kept = hospital.ask("", data=make_png(70), name="photo.png")
    with pytest.raises(BadRequest, match="plain image"):
        send_results(hospital.database, hospital.settings, kept, hospital.archive)


def test_an_unknown_query_is_refused(hospital: Any) -> None:
    with pytest.raises(NotFound, match="no such query"):
        send_results(hospital.database, hospital.settings, "none", hospital.archive)


def test_an_archive_without_the_querys_object_is_told_so(hospital: Any, make_dicom: Any) -> None:
    kept = hospital.ask("", data=make_dicom(66), name="elsewhere.dcm")
    with pytest.raises(NotFound, match="does not have the object"):
        send_results(hospital.database, hospital.settings, kept, hospital.archive)


def test_a_hit_that_left_the_library_is_left_out(hospital: Any) -> None:
    kept, gone = hospital.ask("asked"), hospital.objects["other"].SOPInstanceUID
    with hospital.database.write() as session:
        found = instances.find_by_sop_instance_uid(session, gone)
        assert found is not None
        instances.delete(session, found)
    results = send_results(hospital.database, hospital.settings, kept, hospital.archive)
    assert [sentence for sentence in results.left_out if "no longer in the library" in sentence]
    assert gone.encode() not in b"".join(each.to_json().encode() for each in hospital.stored("KO"))


class Lost:
    """An archive that is lost while it is told."""

    def __init__(self, archive: Any) -> None:
        self.instances, self.fetch = archive.instances, archive.fetch

    def store(self, files: Any) -> None:
        raise ArchiveUnavailable("It does not answer.")


def test_an_archive_that_is_lost_leaves_nothing_behind(hospital: Any) -> None:
    kept = hospital.ask("asked")
    before = {path.name for path in hospital.settings.data.iterdir()}
    with pytest.raises(ArchiveUnavailable):
        send_results(hospital.database, hospital.settings, kept, Lost(hospital.archive))
    assert {path.name for path in hospital.settings.data.iterdir()} == before
