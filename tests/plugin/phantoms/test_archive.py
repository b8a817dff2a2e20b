"""The drawn archive: true objects of their kinds, the same in every run, and pictures that differ as people do."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from cbmir.phantoms import archive
from cbmir.phantoms.archive import Entry
from cbmir.progress import Silence
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

PATIENTS = 5
"""Of each subclass: one for each transfer syntax."""

CONCATENATION = "Concatenation"
"""dciodvfy asks for these attributes of an OPT object in one breath and forbids them in the next."""


class Telling:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def update(self, done: int, total: int, message: str = "", detail: Any = None) -> None:
        self.told.append((done, total))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    progress = Telling()
    archive.build(folder, progress, patients=PATIENTS)
    assert progress.told[-1] == (12 * PATIENTS, 12 * PATIENTS)
    return folder


@pytest.fixture(scope="module")
def entries(folder: Path) -> list[Entry]:
    return archive.read_manifest(folder)


def read(folder: Path, entry: Entry) -> pydicom.Dataset:
    return pydicom.dcmread(folder / entry.path)


def test_the_manifest_names_every_file_once(folder: Path, entries: list[Entry]) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert sorted(files - {archive.MANIFEST}) == sorted(entry.path for entry in entries)
    assert Counter(entry.modality for entry in entries) == {"xray": 45, "mri": 45, "oct": 15, "eeg": 30}


def test_each_patient_has_one_subclass_and_every_subclass_five(entries: list[Entry]) -> None:
    people = {(entry.group, entry.subclass) for entry in entries}
    assert len(people) == len({group for group, _ in people}) == 12 * PATIENTS
    assert set(Counter(subclass for _, subclass in people).values()) == {PATIENTS}


def test_the_header_says_what_the_manifest_says(folder: Path, entries: list[Entry]) -> None:
    codes = {"xray": {"CR", "DX"}, "mri": {"MR"}, "oct": {"OPT"}, "eeg": {"EEG"}}
    uids = set()
    for entry in entries:
        dataset = read(folder, entry)
        assert dataset.Modality in codes[entry.modality]
        assert dataset.PatientID.lower() == entry.group
        uids.add(dataset.SOPInstanceUID)
    assert len(uids) == len(entries)


def test_all_kinds_of_pixels_and_codings_occur(folder: Path, entries: list[Entry]) -> None:
    pictures = [read(folder, entry) for entry in entries if entry.modality != "eeg"]
    assert {str(each.file_meta.TransferSyntaxUID) for each in pictures} == {str(uid) for uid in archive.SYNTAXES}
    assert {each.PhotometricInterpretation for each in pictures} == {"MONOCHROME1", "MONOCHROME2"}
    signed = {each.Modality for each in pictures if each.PixelRepresentation}
    assert signed == {each.Modality for each in pictures if each.get("RescaleSlope", 1) != 1} == {"MR"}
    assert {each.NumberOfFrames for each in pictures if each.Modality == "OPT"} == {4}


def test_recordings_are_nineteen_channels_of_32_bits(folder: Path, entries: list[Entry]) -> None:
    for entry in (entry for entry in entries if entry.modality == "eeg"):
        dataset = read(folder, entry)
        (group,) = dataset.WaveformSequence
        assert (group.NumberOfWaveformChannels, group.WaveformBitsAllocated) == (19, 32)
        channels = dataset.waveform_array(0)
        assert channels.shape == (12 * 200, 19)
        assert 5 < np.abs(channels).max() < 500  # microvolts


def test_the_same_seed_draws_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    archive.build(tmp_path, Silence(), patients=1)
    drawn = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != archive.MANIFEST]
    assert len(drawn) == 27
    for path in drawn:
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()


def test_another_seed_draws_other_patients(folder: Path, entries: list[Entry], tmp_path: Path) -> None:
    others = archive.build(tmp_path, Silence(), seed=1, patients=1)
    assert {entry.group for entry in others}.isdisjoint(entry.group for entry in entries)
    ours = {read(folder, entry).SOPInstanceUID for entry in entries}
    assert ours.isdisjoint(read(tmp_path, entry).SOPInstanceUID for entry in others)


def test_an_unfinished_archive_has_no_manifest(tmp_path: Path) -> None:
    class Impatient:
        def update(self, done: int, total: int, message: str = "", detail: Any = None) -> None:
            if done == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.build(tmp_path, Impatient(), patients=1)
    assert archive.read_manifest(tmp_path) == []
    assert any(tmp_path.rglob("*.dcm"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy: run `make services`")
def test_objects_conform_to_their_information_object_definition(folder: Path, entries: list[Entry]) -> None:
    chosen = {(entry.subclass, entry.path[-5:]): entry for entry in entries if entry.modality != "eeg"}
    for entry in chosen.values():  # it does not know the electroencephalogram
        done = subprocess.run(["dciodvfy", folder / entry.path], capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if line.startswith("Error") and CONCATENATION not in line]
        assert said == [], entry.path


def thumbnails(folder: Path, entries: list[Entry]) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Group -> its pictures, 32 x 32, each with mean 0 and length 1."""
    found: dict[str, list[np.ndarray[Any, Any]]] = {}
    for entry in entries:
        data = (folder / entry.path).read_bytes()
        for picture in convert(data, entry.path, Settings(), "0" * 64).pictures:
            small = np.asarray(Image.fromarray(picture.pixels).convert("L").resize((32, 32)), float).ravel()
            small -= small.mean()
            found.setdefault(entry.group, []).append(small / np.linalg.norm(small))
    return found


@pytest.mark.parametrize("subclass", ["chest_clear", "hand", "brain_lesion", "knee", "macula_fluid"])
def test_pictures_of_one_patient_are_more_alike_than_those_of_two(
    folder: Path, entries: list[Entry], subclass: str
) -> None:
    people = list(thumbnails(folder, [entry for entry in entries if entry.subclass == subclass]).values())
    within = [a @ b for person in people for a, b in combinations(person, 2)]
    between = [a @ b for one, other in combinations(people, 2) for a in one for b in other]
    assert np.mean(within) > np.mean(between)
    assert np.mean(between) < 0.99


def test_pydicoms_own_files_are_copied(tmp_path: Path) -> None:
    count = archive.copy_real_files(tmp_path)
    assert count == sum(path.is_file() for path in tmp_path.rglob("*")) > 100
    assert pydicom.dcmread(tmp_path / "MR_small.dcm").Modality == "MR"
    assert not list(tmp_path.rglob("*.py"))
