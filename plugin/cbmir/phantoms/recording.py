"""Recordings as objects: Routine Scalp Electroencephalogram Waveform (PS3.3 A.34.12), 32-bit samples."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import RoutineScalpElectroencephalogramWaveformStorage

from cbmir.phantoms.header import DAY, TIME, Study, coded
from cbmir.phantoms.scalp import ELECTRODES, RATE, Scalp, State
from cbmir.phantoms.shapes import Field

SECONDS = 12.0
RECORDINGS = 2
SENSITIVITY = 0.01
"""Microvolts a unit."""


def recordings(study: Study, rng: np.random.Generator, state: State) -> list[Dataset]:
    """The visit's recordings."""
    scalp = Scalp.of(rng, state)
    return [_object(study, number, scalp.record(rng, SECONDS)) for number in range(1, RECORDINGS + 1)]


def _object(study: Study, number: int, potentials: Field) -> Dataset:
    dataset = study.header(RoutineScalpElectroencephalogramWaveformStorage, "EEG", number)
    dataset.AcquisitionDateTime = DAY + TIME
    dataset.AcquisitionContextSequence = []
    dataset.FrameOfReferenceUID = dataset.SynchronizationFrameOfReferenceUID = study.uid("clock")
    dataset.SynchronizationTrigger, dataset.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    dataset.BodyPartExamined = "HEAD"
    dataset.WaveformSequence = [_waveform(potentials)]
    return dataset


def _waveform(potentials: Field) -> Dataset:
    """The Waveform module (C.10.9): samples of all channels in turn, signed 32-bit."""
    item = Dataset()
    item.MultiplexGroupTimeOffset = 0
    item.WaveformOriginality = "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = potentials.shape
    item.SamplingFrequency = RATE
    item.MultiplexGroupLabel = "EEG"
    item.ChannelDefinitionSequence = [_channel(name) for name in ELECTRODES]
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 32, "SL"
    item.WaveformData = np.rint(potentials.T / SENSITIVITY).astype("<i4").tobytes()
    return item


def _channel(electrode: str) -> Dataset:
    channel = Dataset()
    channel.ChannelLabel = electrode
    channel.ChannelSourceSequence = [coded(getattr(codes.cid3030, electrode))]
    channel.ChannelSensitivity = SENSITIVITY
    channel.ChannelSensitivityUnitsSequence = [coded(Code("uV", "UCUM", "microvolt"))]
    channel.ChannelSensitivityCorrectionFactor = 1
    channel.ChannelBaseline = 0
    channel.ChannelSampleSkew = 0
    channel.WaveformBitsStored = 32
    channel.FilterLowFrequency, channel.FilterHighFrequency = 0.4, 70
    return channel
