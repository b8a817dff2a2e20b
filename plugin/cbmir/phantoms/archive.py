"""The archive of drawn patients, with its manifest, and beside it the test files that the pydicom wheel carries."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from cbmir.phantoms.header import Study, save
from cbmir.phantoms.radiograph import chests, hands
from cbmir.phantoms.recording import recordings
from cbmir.phantoms.resonance import brains, knees
from cbmir.phantoms.tomography import volume
from cbmir.progress import Progress

MANIFEST = "manifest.csv"
VERSION = "1"
"""Of the drawings: an archive of another version is drawn anew."""

PATIENTS = 10
"""Of each subclass: enough to train on eight, validate with one and test with one."""

Examine = Callable[[Study, np.random.Generator], list[Dataset]]

SUBCLASSES: dict[tuple[str, str], Examine] = {
    ("xray", "chest_clear"): partial(chests, opaque=False),
    ("xray", "chest_opacity"): partial(chests, opaque=True),
    ("xray", "hand"): hands,
    ("mri", "brain_normal"): partial(brains, ill=False),
    ("mri", "brain_lesion"): partial(brains, ill=True),
    ("mri", "knee"): knees,
    ("oct", "macula_normal"): partial(volume, finding="normal"),
    ("oct", "macula_fluid"): partial(volume, finding="fluid"),
    ("oct", "macula_drusen"): partial(volume, finding="drusen"),
    ("eeg", "rest"): partial(recordings, state="rest"),
    ("eeg", "spike_wave"): partial(recordings, state="spike_wave"),
    ("eeg", "slow_focus"): partial(recordings, state="slow"),
}
"""Modality and subclass, and how such a patient is examined."""

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless)
"""Patients take turns with these, as if they came from as many devices."""


@dataclass(frozen=True)
class Entry:
    """A line of the manifest; `path` is relative to it, `group` is the patient."""

    path: str
    modality: str
    subclass: str
    group: str


def build(folder: Path, progress: Progress, *, seed: int = 0, patients: int = PATIENTS) -> list[Entry]:
    """Draw the archive into `folder`, which is made; the same seed gives the same bytes.

    Args:
        folder: gets a folder for each modality, and `manifest.csv`, which is written last.
        progress: told after every patient.
        seed: of everything that is drawn.
        patients: of each subclass.

    Returns:
        What stands in the manifest.
    """
    entries: list[Entry] = []
    total = patients * len(SUBCLASSES)
    for number, entry in enumerate(_examined(folder, seed, patients), 1):
        entries += entry
        progress.update(number, total, entry[0].subclass)
    _write_manifest(folder / MANIFEST, entries)
    return entries


def _examined(folder: Path, seed: int, patients: int) -> Iterator[list[Entry]]:
    for kind, ((modality, subclass), examine) in enumerate(SUBCLASSES.items()):
        for nth in range(patients):
            study = Study(patient=1000 * kind + nth + 1, subclass=subclass, seed=seed)
            rng = np.random.default_rng((seed, kind, nth))
            yield [
                _keep(folder, dataset, study, modality, f"{subclass}_{nth + 1:02d}_{number}", nth)
                for number, dataset in enumerate(examine(study, rng), 1)
            ]


def _keep(folder: Path, dataset: Dataset, study: Study, modality: str, name: str, nth: int) -> Entry:
    path = f"{modality}/{study.subclass}/{name}{'' if modality == 'eeg' else '.dcm'}"
    save(dataset, folder / path, _syntax(dataset, nth))
    return Entry(path=path, modality=modality, subclass=study.subclass, group=study.patient_id.lower())


def _syntax(dataset: Dataset, nth: int) -> UID:
    if "PixelData" in dataset:
        return SYNTAXES[nth % len(SYNTAXES)]
    return DeflatedExplicitVRLittleEndian if nth % 5 == 4 else ExplicitVRLittleEndian


def read_manifest(folder: Path) -> list[Entry]:
    """What `build` wrote there; nothing where it was not finished."""
    path = folder / MANIFEST
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [Entry(**row) for row in csv.DictReader(stream)]


def _write_manifest(path: Path, entries: list[Entry]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "modality", "subclass", "group"))
        writer.writerows((entry.path, entry.modality, entry.subclass, entry.group) for entry in entries)
    draft.replace(path)


def copy_real_files(folder: Path) -> int:
    """Copy the files that the installed pydicom tests itself with: real objects, some of them damaged on purpose.

    Returns:
        How many there are.
    """
    source = Path(pydicom.__file__).parent / "data" / "test_files"
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return sum(path.is_file() for path in folder.rglob("*"))
