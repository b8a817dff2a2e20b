"""Waveforms: physical units, the stated scale, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from cbmir.dicom.frames import find_frames
from cbmir.dicom.read import read_object
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.signals import Signals, read_signals
from cbmir.dicom.waveforms import EEG_STRIP, PAGE_SECONDS, SIDE
from cbmir.dicom.waveforms import picture as render
from cbmir.errors import BrokenFile, NoPixels, Undecodable
from cbmir.types import FloatArray

EEG, ECG = "1.2.840.10008.5.1.4.1.1.9.7.1", "1.2.840.10008.5.1.4.1.1.9.1.1"


def traces(dataset: Dataset) -> FloatArray:
    return render(dataset, "x", "traces")[0]


def channel(unit: str = "uV", sensitivity: float | None = 1, **elements: Any) -> Dataset:
    item, units = Dataset(), Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
    item.ChannelSensitivityUnitsSequence = [units]
    if sensitivity is not None:
        item.ChannelSensitivity = sensitivity
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def waveform(
    samples: Any,
    channels: list[Dataset],
    frequency: float = 200,
    kind: str = "SS",
    sop_class: str = EEG,
    **more: Any,
) -> Dataset:
    """A waveform object around (time, channels)."""
    dataset, group = Dataset(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    dataset.SOPClassUID = sop_class
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformSamples, group.NumberOfWaveformChannels = samples.shape
    group.SamplingFrequency = frequency
    group.ChannelDefinitionSequence = channels
    group.WaveformBitsAllocated = 8 * samples.itemsize
    group.WaveformSampleInterpretation = kind
    group.WaveformData = samples.tobytes()
    for keyword, value in more.items():
        setattr(group, keyword, value)
    dataset.WaveformSequence = [group]
    return dataset


def signals(*arguments: Any, **more: Any) -> Signals:
    return read_signals(waveform(*arguments, **more), "x.dcm")


def test_a_sample_becomes_microvolts() -> None:
    samples = np.array([[10, 10], [-20, -20]], "<i2")
    calibrated = channel("mV", 0.5, ChannelSensitivityCorrectionFactor=2, ChannelBaseline=1)
    found = signals(samples, [channel("uV", 2), calibrated])
    np.testing.assert_allclose(found.samples, [[20, 11_000], [-40, -19_000]])
    assert found.electrical
    assert found.frequency == 200


@pytest.mark.parametrize(
    ("kind", "dtype"), [("SB", "i1"), ("UB", "u1"), ("SS", "<i2"), ("US", "<u2"), ("SL", "<i4"), ("UL", "<u4")]
)
def test_every_sample_interpretation(kind: str, dtype: str) -> None:
    samples = np.array([[1], [100]], dtype)
    np.testing.assert_array_equal(signals(samples, [channel()], kind=kind).samples, [[1], [100]])


def test_unused_high_bits_are_replaced_by_the_sign() -> None:
    samples = np.array([[0x0FFF], [0xF001]], "<u2").view("<i2")
    np.testing.assert_array_equal(signals(samples, [channel(WaveformBitsStored=12)]).samples, [[-1], [1]])


def test_big_endian_samples() -> None:
    dataset = waveform(np.array([[258]], ">i2"), [channel()])
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    assert read_signals(dataset, "x").samples[0, 0] == 258


def test_padding_is_no_sample() -> None:
    samples = np.array([[1], [-32768], [3]], "<i2")
    found = signals(samples, [channel()], WaveformPaddingValue=b"\x00\x80").samples
    assert np.isnan(found[1, 0])
    assert np.isfinite(found[[0, 2]]).all()


def test_uncalibrated_channels_and_pressures_are_not_called_electrical() -> None:
    samples = np.zeros((4, 1), "<i2")
    assert not signals(samples, [channel("mm[Hg]")]).electrical
    assert not signals(samples, [channel("uV", None)]).electrical


def test_a_derived_group_is_passed_over() -> None:
    dataset = waveform(np.full((4, 1), 7, "<i2"), [channel()])
    derived = waveform(np.full((4, 1), 9, "<i2"), [channel()], WaveformOriginality="DERIVED").WaveformSequence[0]
    dataset.WaveformSequence = [derived, dataset.WaveformSequence[0]]
    assert read_signals(dataset, "x").samples[0, 0] == 7


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"NumberOfWaveformSamples": 5000}, BrokenFile, "5000 samples and holds 8 bytes"),
        ({"NumberOfWaveformSamples": 0}, NoPixels, "0 samples"),
        ({"NumberOfWaveformChannels": 0}, NoPixels, "0 channels"),
        ({"SamplingFrequency": 0}, BrokenFile, "sampling frequency"),
        ({"WaveformSampleInterpretation": "MB"}, Undecodable, "'MB'"),
    ],
)
def test_refusals(more: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        signals(np.zeros((4, 1), "<i2"), [channel()], **more)


def test_an_empty_sequence_is_refused() -> None:
    dataset = waveform(np.zeros((4, 1), "<i2"), [channel()])
    dataset.WaveformSequence = []
    with pytest.raises(NoPixels, match="empty Waveform Sequence"):
        read_signals(dataset, "x")


def test_a_step_of_one_strip_reaches_the_next_baseline() -> None:
    quiet = np.zeros((2000, 4), "<i2")
    quiet[1000:, 1] = EEG_STRIP
    quiet[:, 1] -= int(EEG_STRIP // 2)  # the median lies in the middle of the step
    drawn = traces(waveform(quiet, [channel()] * 4))
    strip = SIDE / 4
    left, right = drawn[:, SIDE // 4], drawn[:, 3 * SIDE // 4]
    rows = np.flatnonzero(right[: int(1.9 * strip)] > 0.4)
    lowered = np.flatnonzero(left[int(0.9 * strip) : int(2.2 * strip)] > 0.4) + int(0.9 * strip)
    assert abs(rows.max() - strip) <= 1
    assert abs(lowered.max() - 2 * strip) <= 1


def test_time_runs_at_a_fixed_pace() -> None:
    half = np.zeros((int(200 * PAGE_SECONDS / 2), 2), "<i2")
    drawn = traces(waveform(half, [channel()] * 2))
    inked = np.flatnonzero(drawn.max(axis=0))
    assert (inked.min(), inked.max()) == (0, SIDE // 2 - 1)


def test_the_middle_of_a_long_recording_is_drawn() -> None:
    samples = np.zeros((200 * 60, 1), "<i2")
    samples[: 200 * 20] = samples[-200 * 20 :] = 3000
    assert len(np.flatnonzero(traces(waveform(samples, [channel()])).max(axis=1))) <= 2


def test_a_gap_is_left_where_the_recorder_padded() -> None:
    samples = np.zeros((2000, 1), "<i2")
    samples[800:1200] = -32768
    drawn = traces(waveform(samples, [channel()], WaveformPaddingValue=b"\x00\x80"))
    assert not drawn[:, SIDE // 2 - 40 : SIDE // 2 + 40].any()
    assert drawn[:, SIDE // 4].any()


def test_any_values_give_a_finite_picture() -> None:
    noise = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (500, 130)).astype("<i4")
    drawn = traces(waveform(noise, [channel("mm[Hg]")] * 130, kind="SL"))
    assert drawn.shape == (SIDE, SIDE)
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_a_real_ecg() -> None:
    found = read_object(Path(get_testdata_file("waveform_ecg.dcm")).read_bytes(), "ecg.dcm")
    (shown,) = find_frames(found, "ecg.dcm", max_pixels=10**6).pictures(Rendering(), "all", 64)
    reference = found.dataset.waveform_array(0)
    np.testing.assert_allclose(read_signals(found.dataset, "ecg").samples, reference, rtol=1e-5)
    assert shown.frame_number == 1
    assert shown.steps == ("drawn: traces of 12 channels, 10 s, 2500 uV from one to the next",)
    drawn = shown.pixels / np.float32(255)
    assert 0.02 < drawn.mean() < 0.2
    assert (drawn.max(axis=0) > 0).all()
