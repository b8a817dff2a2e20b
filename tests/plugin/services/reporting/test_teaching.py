"""Teaching files of what a real Orthanc holds: what is in them, and that it tells of nobody."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import Dataset, dcmread

from cbmir.errors import BadRequest
from cbmir.services.reporting.teaching import Choice, export_teaching_file
from cbmir.store import queries

NAMES = ("Zimmermann", "Adelheid", "Quincke", "Heinrich", "Fontane", "Theodor", "Wrangel", "Graefe", "Sankt Marien")
NUMBERS = ("KH-471", "ACC-881", "1961", "20190403", "101112")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
NEW_UID = re.compile(rb"2\.25\.[0-9]+")  # Random digits, in which any year comes up by chance.


def members(target: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(target) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def objects(files: dict[str, bytes]) -> dict[str, Dataset]:
    return {name: dcmread(BytesIO(data)) for name, data in files.items() if name.endswith(".dcm")}


def test_nothing_that_identifies_anybody_is_left_in_any_byte(hospital: Any, tmp_path: Path) -> None:
    target = tmp_path / "case.zip"
    choice = Choice(title="A case", with_burned_in=True)
    export_teaching_file(
        hospital.database, hospital.settings, hospital.ask("asked"), hospital.archive, target, choice
    )
    files = members(target)
    assert len(files) == 4 + 2
    originals = [str(each[keyword].value) for each in hospital.objects.values() for keyword in UIDS]
    haystack = (b"".join(name.encode() + data for name, data in files.items()) + target.read_bytes()).lower()
    assert [text for text in (*NAMES, *originals) if text.lower().encode() in haystack] == []
    said = NEW_UID.sub(b"", haystack)
    assert [text for text in NUMBERS if text.lower().encode() in said] == []


def test_the_manifest_refers_to_the_copies_and_is_of_the_querys_case(hospital: Any, tmp_path: Path) -> None:
    target = tmp_path / "case.zip"
    made = export_teaching_file(
        hospital.database,
        hospital.settings,
        hospital.ask("asked"),
        hospital.archive,
        target,
        Choice(title="A case"),
    )
    found = objects(members(target))
    manifest = found.pop("manifest.dcm")
    assert manifest.ConceptNameCodeSequence[0].CodeValue == "113004"
    assert manifest.PatientIdentityRemoved == "YES"
    evidence = {
        (
            study.StudyInstanceUID,
            series.SeriesInstanceUID,
            each.ReferencedSOPInstanceUID,
            each.ReferencedSOPClassUID,
        )
        for study in manifest.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    }
    assert evidence == {
        (each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID, each.SOPClassUID)
        for each in found.values()
    }
    assert set(found) == {f"{each.SOPInstanceUID}.dcm" for each in found.values()}
    query = found[f"{made.copies[0].sop_instance_uid}.dcm"]
    assert (manifest.PatientID, manifest.StudyInstanceUID) == (query.PatientID, query.StudyInstanceUID)
    assert (query.pixel_array == hospital.objects["asked"].pixel_array).all()
    assert len({each.PatientID for each in found.values()}) == len(found) == 3


def test_dcmtk_and_an_archive_take_it(hospital: Any, tmp_path: Path) -> None:
    kept = hospital.ask("volume")
    export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "case")
    if program := shutil.which("dsrdump"):
        subprocess.run([program, tmp_path / "case" / "manifest.dcm"], check=True, capture_output=True)
    before = len(hospital.server.get("/instances"))
    copies = sorted((tmp_path / "case").glob("*.dcm"))
    hospital.archive.store(copies)
    assert len(hospital.server.get("/instances")) == before + len(copies)
    manifest = dcmread(tmp_path / "case" / "manifest.dcm")
    images = [item.ReferencedSOPSequence[0] for item in manifest.ContentSequence if item.ValueType == "IMAGE"]
    assert images[0].ReferencedFrameNumber == 3


def test_ultrasound_is_left_out_unless_asked_for(hospital: Any, tmp_path: Path) -> None:
    kept = hospital.ask("asked")
    made = export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "1.zip")
    said = [sentence for sentence in made.left_out if "text may stand in its pixels" in sentence]
    assert len(said) == 1
    assert len([each for each in objects(members(tmp_path / "1.zip")).values() if each.Modality == "US"]) == 0
    choice = Choice(with_burned_in=True)
    export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "2.zip", choice)
    assert len([each for each in objects(members(tmp_path / "2.zip")).values() if each.Modality == "US"]) == 1


def test_a_query_that_may_show_text_alone_exports_nothing(hospital: Any, tmp_path: Path) -> None:
    kept, target = hospital.ask("echo"), tmp_path / "case.zip"
    with pytest.raises(BadRequest, match="can be exported"):
        export_teaching_file(
            hospital.database, hospital.settings, kept, hospital.archive, target, Choice(ranks=frozenset())
        )
    assert not target.exists()


def test_hits_are_chosen_by_rank(hospital: Any, tmp_path: Path) -> None:
    kept = hospital.ask("volume")
    with_uids = [rank for rank, each in ranked(hospital, kept) if each]
    choice = Choice(ranks={with_uids[0]}, with_burned_in=True)
    export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "1.zip", choice)
    assert len(objects(members(tmp_path / "1.zip"))) == 3
    with pytest.raises(BadRequest, match="no hit 99"):
        export_teaching_file(
            hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "2.zip", Choice(ranks={99})
        )


def ranked(hospital: Any, kept: str) -> list[tuple[int, str | None]]:
    with hospital.database.read() as session:
        return [(hit["rank"], hit["sop_instance_uid"]) for hit in queries.get(session, kept).hits]


def test_a_title_that_names_a_patient_is_refused(hospital: Any, tmp_path: Path) -> None:
    target, kept = tmp_path / "case", hospital.ask("asked")
    for choice in (Choice(title="Frau Zimmermann"), Choice(abstract="as KH-4711"), Choice(title="seen 20190403")):
        with pytest.raises(BadRequest, match="names a patient"):
            export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, target, choice)
    assert not target.exists()


def test_title_abstract_and_labels_are_told(hospital: Any, tmp_path: Path) -> None:
    choice = Choice(title="Ein seltener Fall", abstract="Größe beachten.")
    export_teaching_file(
        hospital.database, hospital.settings, hospital.ask("asked"), hospital.archive, tmp_path / "case", choice
    )
    about = (tmp_path / "case" / "about.txt").read_text("utf-8")
    assert about.startswith("Ein seltener Fall\n\nGröße beachten.\n\nQuery: 2.25.")
    assert "modality: mri" in about


def test_an_object_that_left_the_archive_is_left_out_and_nothing_stays_behind(
    hospital: Any, tmp_path: Path
) -> None:
    server = hospital.server
    query = {"Level": "Instance", "Query": {"SOPInstanceUID": str(hospital.objects["other"].SOPInstanceUID)}}
    (gone,) = requests.post(f"{server.url}/tools/find", json=query, auth=server.auth, timeout=30).json()
    server.delete(f"/instances/{gone}")
    kept = hospital.ask("asked")
    before = {path.name for path in hospital.settings.data.iterdir()}
    made = export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, tmp_path / "case.zip")
    assert [sentence for sentence in made.left_out if "does not have the object" in sentence]
    assert {path.name for path in hospital.settings.data.iterdir()} == before


def test_a_case_is_never_laid_among_other_files(hospital: Any, tmp_path: Path) -> None:
    kept, target = hospital.ask("asked"), tmp_path / "case"
    target.mkdir()
    export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, target)
    before = sorted(target.iterdir())
    with pytest.raises(BadRequest, match="is not empty"):
        export_teaching_file(hospital.database, hospital.settings, kept, hospital.archive, target)
    assert sorted(target.iterdir()) == before
