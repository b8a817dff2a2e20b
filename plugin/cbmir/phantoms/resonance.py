"""Magnetic resonance as objects: MR Image (PS3.3 A.4), signed pixels with a rescale, as some vendors store them."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from cbmir.phantoms.brain import Brain
from cbmir.phantoms.header import Study
from cbmir.phantoms.knee import Knee
from cbmir.phantoms.pixels import grain, store
from cbmir.phantoms.shapes import Canvas, Field

CANVAS = Canvas.of(256, 256)
BITS = 12
SPACING, THICKNESS = 0.9, 5.0
"""Millimetres."""
AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]


def brains(study: Study, rng: np.random.Generator, ill: bool) -> list[Dataset]:
    """The visit's axial slices, from the basal ganglia upwards."""
    brain = Brain.of(rng, ill)
    levels = np.sort(rng.uniform(0, 0.5, 3))
    slices = [grain(rng, brain.draw(CANVAS, float(level)), 0.012) for level in levels]
    return [_object(study, number, each, "BRAIN", AXIAL) for number, each in enumerate(slices, 1)]


def knees(study: Study, rng: np.random.Generator) -> list[Dataset]:
    """The visit's sagittal slices, from the inner side outwards."""
    knee = Knee.of(rng)
    levels = np.sort(rng.uniform(-0.7, 0.7, 3))
    slices = [grain(rng, knee.draw(CANVAS, float(level)), 0.015) for level in levels]
    return [_object(study, number, each, "KNEE", SAGITTAL) for number, each in enumerate(slices, 1)]


def _object(study: Study, number: int, picture: Field, part: str, orientation: list[int]) -> Dataset:
    dataset = study.header(MRImageStorage, "MR", number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.BodyPartExamined = part
    dataset.FrameOfReferenceUID = study.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFS" if part == "BRAIN" else "FFS"
    if part == "KNEE":
        dataset.Laterality = "LR"[study.patient % 2]
    _sequence(dataset, spin_echo_time=90 if part == "BRAIN" else 15)
    _place(dataset, number, orientation)
    store(dataset, picture, bits=BITS, signed=True)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 0.5, 2 ** (BITS - 2), "US"
    dataset.WindowCenter, dataset.WindowWidth = 2 ** (BITS - 2), 2 ** (BITS - 1)
    return dataset


def _sequence(dataset: Dataset, spin_echo_time: int) -> None:
    """The MR Image module (C.8.3.1)."""
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTime = 4000 if spin_echo_time > 50 else 550, spin_echo_time
    dataset.EchoTrainLength = 1
    dataset.MagneticFieldStrength = 1.5


def _place(dataset: Dataset, number: int, orientation: list[int]) -> None:
    """The Image Plane module (C.7.6.2): slices `THICKNESS` apart along the normal."""
    normal = np.cross(orientation[:3], orientation[3:])
    corner = -SPACING * 128 * (np.array(orientation[:3]) + np.array(orientation[3:]))
    dataset.ImageOrientationPatient = orientation
    dataset.ImagePositionPatient = [float(value) for value in corner + normal * THICKNESS * number]
    dataset.PixelSpacing, dataset.SliceThickness = [SPACING, SPACING], THICKNESS
