"""Sections of the macula as an object: Ophthalmic Tomography, multi-frame (PS3.3 A.52)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import OphthalmicTomographyImageStorage

from cbmir.phantoms.header import DAY, TIME, Study, coded
from cbmir.phantoms.macula import Finding, Macula
from cbmir.phantoms.pixels import store
from cbmir.phantoms.shapes import Canvas

CANVAS = Canvas.of(256, 384)
OFFSETS = (-0.6, -0.2, 0.2, 0.6)
"""Where the frames cut the macula, from below the pit to above it."""
DEPTH, WIDTH, APART = 0.0078, 0.0156, 0.24
"""Millimetres: of a pixel down and across, and from section to section."""


def volume(study: Study, rng: np.random.Generator, finding: Finding) -> list[Dataset]:
    """The visit's one object, a frame for each section."""
    macula = Macula.of(rng, finding)
    frames = np.stack([macula.draw(CANVAS, offset, rng) for offset in OFFSETS])
    dataset = study.header(OphthalmicTomographyImageStorage, "OPT", 1)
    store(dataset, frames, bits=8)
    dataset.NumberOfFrames = len(OFFSETS)
    _image(dataset)
    _eye(dataset, "R" if macula.side > 0 else "L")
    _device(dataset)
    _dimensions(study, dataset)
    _functional_groups(study, dataset)
    return [dataset]


def _image(dataset: Dataset) -> None:
    """The Ophthalmic Tomography Image module (C.8.17.7)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.AcquisitionDateTime = DAY + TIME
    dataset.AcquisitionDuration = 1.2
    dataset.AcquisitionNumber = 1
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.ConcatenationFrameOffsetNumber = 0  # asked for by this IOD even outside a concatenation
    dataset.InConcatenationNumber = dataset.InConcatenationTotalNumber = 1
    dataset.AcquisitionContextSequence = []


def _eye(dataset: Dataset, laterality: str) -> None:
    """The Ocular Region Imaged module (C.8.17.5)."""
    dataset.ImageLaterality = laterality
    dataset.BodyPartExamined = "EYE"
    dataset.AnatomicRegionSequence = [coded(codes.SCT.Retina)]


def _device(dataset: Dataset) -> None:
    """The Ophthalmic Tomography Parameters and Acquisition Parameters modules (C.8.17.8, C.8.17.9)."""
    scanner = Code("A-00FBE", "SRT", "Optical Coherence Tomography Scanner")
    dataset.AcquisitionDeviceTypeCodeSequence = [coded(scanner)]
    dataset.LightPathFilterTypeStackCodeSequence = []
    dataset.DetectorType = "CCD"
    dataset.IlluminationWaveLength = 840
    dataset.IlluminationPower = 750
    dataset.IlluminationBandwidth = 45
    dataset.DepthSpatialResolution = 5
    dataset.MaximumDepthDistortion = 0.1
    dataset.AlongScanSpatialResolution = dataset.AcrossScanSpatialResolution = 14
    dataset.MaximumAlongScanDistortion = dataset.MaximumAcrossScanDistortion = 0.1
    for unknown in (
        "AxialLengthOfTheEye",
        "HorizontalFieldOfView",
        "EmmetropicMagnification",
        "IntraOcularPressure",
    ):
        setattr(dataset, unknown, None)
    dataset.RefractiveStateSequence = []
    dataset.PupilDilated = "NO"


def _dimensions(study: Study, dataset: Dataset) -> None:
    """The Multi-frame Dimension module (C.7.6.17): frames are ordered by their place in the stack."""
    organization = Dataset()
    organization.DimensionOrganizationUID = study.uid("dimensions")
    index = Dataset()
    index.DimensionOrganizationUID = study.uid("dimensions")
    index.DimensionIndexPointer = 0x00209057  # In-Stack Position Number
    index.FunctionalGroupPointer = 0x00209111  # Frame Content Sequence
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [index]


def _functional_groups(study: Study, dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = study.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.SynchronizationFrameOfReferenceUID = study.uid("clock")
    dataset.SynchronizationTrigger, dataset.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [DEPTH, WIDTH]
    shared.PixelMeasuresSequence[0].SliceThickness = APART
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.FrameAnatomySequence = [_anatomy(dataset)]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number) for number in range(1, len(OFFSETS) + 1)]


def _anatomy(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.FrameLaterality = dataset.ImageLaterality
    item.AnatomicRegionSequence = [coded(codes.SCT.Retina)]
    return item


def _frame(number: int) -> Dataset:
    frame = Dataset()
    content = Dataset()
    content.FrameAcquisitionNumber = 1
    content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = DAY + TIME
    content.FrameAcquisitionDuration = 300
    content.StackID, content.InStackPositionNumber = "1", number
    content.DimensionIndexValues = [number]
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [Dataset()]
    frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, APART * number]
    return frame
