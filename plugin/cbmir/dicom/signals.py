"""The channels of a DICOM waveform, in physical units (PS3.3 C.10.9)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.tables import is_little_endian
from cbmir.errors import BrokenFile, NoPixels, Undecodable
from cbmir.types import FloatArray

KINDS = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4", "SV": "i8", "UV": "u8"}
"""NumPy's word for a Waveform Sample Interpretation (5400,1006)."""

SOUNDS = ("MB", "AB")
"""Those for companded sounds, which are left out. No others are quoted: they may be anything, a name too."""

MICROVOLTS = {"uV": 1.0, "mV": 1e3, "V": 1e6, "nV": 1e-3}
"""Microvolts in a UCUM unit of Channel Sensitivity Units (003A,0211)."""

MAX_CHANNELS = 128
"""Channels that are read; more could not be told apart in a picture."""


@dataclass(frozen=True)
class Signals:
    """One multiplex group, or a stretch of it.

    Attributes:
        samples: float32 (time, channels), in microvolts where `electrical`, else in the channel's own unit; NaN
            where the recorder padded, or a channel has no sample.
        frequency: samples a second of each channel, > 0.
        electrical: whether all channels are voltages.
        channels: how many the group has; those beyond `MAX_CHANNELS` are not read.
        moved: by how many samples some channel was moved to where it belongs in time, at most.
    """

    samples: FloatArray
    frequency: float
    electrical: bool
    channels: int = 0
    moved: int = 0


def read_signals(dataset: Dataset, name: str, place: int = 0, seconds: float = math.inf) -> Signals:
    """Read a multiplex group, or so many seconds in its middle.

    A sample means sample * sensitivity * correction factor + baseline, in the channel's unit (PS3.3 C.10.9.1.4). It
    belongs where the channel's skew and offset put it, to the nearest sample (C.10.9.1.4.3).

    Args:
        dataset: the object.
        name: what the user calls it.
        place: of the group in the Waveform Sequence, 0-based.
        seconds: at least one sample is read, and no more than there are.

    Raises:
        cbmir.errors.NoPixels: if there is no such group, or no channel or no sample in it.
        cbmir.errors.BrokenFile: if the header promises more samples than there are, or no sampling frequency.
        cbmir.errors.Undecodable: for companded sound.
    """
    group = values.item(dataset, "WaveformSequence", place)
    if group is None:
        raise NoPixels(f"{name} has no multiplex group {place + 1} in its Waveform Sequence.", RESEND)
    frequency = values.number(group, "SamplingFrequency")
    if frequency is None or frequency <= 0:
        raise BrokenFile(f"{name} has a waveform without a sampling frequency.", RESEND)
    stored = _stored(group, name, little_endian=is_little_endian(dataset))
    channels = values.items(group, "ChannelDefinitionSequence")[: stored.shape[1]]
    delays = [_delay(each, frequency, len(stored)) for each in channels]
    stretch, known = _aligned(stored, delays, round(min(len(stored), max(1, seconds * frequency))))
    units = [_unit(each) for each in channels]
    samples = _physical(stretch, channels, units, name)
    samples[_padding(group, stretch) | ~known] = np.nan
    electrical = len(units) == stored.shape[1] and all(unit in MICROVOLTS for unit in units)
    there = values.integer(group, "NumberOfWaveformChannels", name)
    return Signals(samples.astype(np.float32), frequency, electrical, there, max(map(abs, delays), default=0))


def _stored(group: Dataset, name: str, *, little_endian: bool) -> npt.NDArray[Any]:
    """The samples as stored, (time, channels)."""
    channels = values.integer(group, "NumberOfWaveformChannels", name)
    count = values.integer(group, "NumberOfWaveformSamples", name)
    if channels < 1 or count < 1:
        raise NoPixels(f"{name} has a waveform of {channels} channels and {count} samples.", RESEND)
    dtype = _dtype(group, name, little_endian)
    data = values.octets(group, "WaveformData")
    if len(data) < channels * count * dtype.itemsize:
        reason = f"{name} promises {channels} channels of {count} samples and holds {len(data)} bytes of them."
        raise BrokenFile(reason, RESEND)
    samples = np.frombuffer(data, dtype, count=channels * count).reshape(count, channels)[:, :MAX_CHANNELS]
    return samples.astype(dtype.newbyteorder("="), copy=False)


def _physical(
    stored: npt.NDArray[Any], channels: list[Dataset], units: list[str], name: str
) -> npt.NDArray[np.float64]:
    """The samples in microvolts, or in their channels' units; of channels that are not described as they are."""
    samples = stored.astype(np.float64)
    for column, (channel, unit) in enumerate(zip(channels, units, strict=True)):
        samples[:, column] = _calibrated(_significant(stored[:, column], channel, name), channel)
        samples[:, column] *= MICROVOLTS.get(unit, 1.0)
    return samples


def _significant(samples: npt.NDArray[Any], channel: Dataset, name: str) -> npt.NDArray[Any]:
    """A channel's samples, the bits above Waveform Bits Stored (003A,021A) replaced by the sign."""
    bits = 8 * samples.dtype.itemsize
    unused = bits - min(max(values.integer(channel, "WaveformBitsStored", name, default=bits), 1), bits)
    return np.asarray(samples << unused >> unused)


def _dtype(group: Dataset, name: str, little_endian: bool) -> np.dtype[Any]:
    interpretation = values.text(group, "WaveformSampleInterpretation")
    if interpretation not in KINDS:
        which = interpretation if interpretation in SOUNDS else "none of the standard's"
        reason = f"{name} has a waveform of a sample interpretation that is not drawn: {which}."
        raise Undecodable(reason, f"Those drawn are {', '.join(KINDS)}.")
    return np.dtype(("<" if little_endian else ">") + KINDS[interpretation])


def _unit(channel: Dataset) -> str:
    """The UCUM code of the channel's unit; empty where the samples are not calibrated."""
    units = values.items(channel, "ChannelSensitivityUnitsSequence")
    return values.text(units[0], "CodeValue") if units and "ChannelSensitivity" in channel else ""


def _calibrated(samples: npt.NDArray[Any], channel: Dataset) -> npt.NDArray[np.float64]:
    """A channel's samples in its own unit."""
    sensitivity = values.number(channel, "ChannelSensitivity")
    correction = values.number(channel, "ChannelSensitivityCorrectionFactor")
    factor = (1.0 if sensitivity is None else sensitivity) * (1.0 if correction is None else correction)
    return samples.astype(np.float64) * factor + (values.number(channel, "ChannelBaseline") or 0.0)


def _delay(channel: Dataset, frequency: float, most: int) -> int:
    """Samples that a channel's first one lies behind the group's start, at most its length: its skew, given in
    seconds or in samples, and the offset by which channels are to be aligned for display."""
    seconds, skew, offset = (
        values.number(channel, each) or 0.0 for each in ("ChannelTimeSkew", "ChannelSampleSkew", "ChannelOffset")
    )
    return round(min(max((seconds + offset) * frequency + skew, -most), most))


def _aligned(
    stored: npt.NDArray[Any], delays: list[int], length: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """As many samples in the middle of the group, each channel later by its delay, and where there are any."""
    starts = np.zeros(stored.shape[1], np.intp)
    starts[: len(delays)] = np.negative(delays)
    rows = starts + (len(stored) - length) // 2 + np.arange(length)[:, None]
    known = (rows >= 0) & (rows < len(stored))
    return np.take_along_axis(stored, np.clip(rows, 0, len(stored) - 1), axis=0), known


def _padding(group: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where samples equal Waveform Padding Value (5400,100A), whose bytes have the samples' own form."""
    value = values.value(group, "WaveformPaddingValue")
    if isinstance(value, bytes) and len(value) >= stored.dtype.itemsize:
        return np.asarray(stored == np.frombuffer(value, stored.dtype, count=1)[0])
    if isinstance(value, int):
        return np.asarray(stored == np.int64(value).astype(stored.dtype))
    return np.zeros(stored.shape, bool)
