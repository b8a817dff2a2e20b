"""Waveforms: physical units, the stated scale, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from cbmir.dicom.frames import Shown, find_frames
from cbmir.dicom.multiplex import find_groups
from cbmir.dicom.read import DicomObject, read_object
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


def several(*groups: Dataset) -> Dataset:
    """One object of the multiplex groups of several."""
    groups[0].WaveformSequence = [each.WaveformSequence[0] for each in groups]
    return groups[0]


def level(height: int, channels: int = 1, **more: Any) -> Dataset:
    """A recording of nothing but one value: 10 s for the eye, 200 samples a second."""
    return waveform(np.full((2000, channels), height, "<i2"), [channel()] * channels, **more)


def shown(dataset: Dataset, rendering: Rendering | None = None, policy: str = "all") -> list[Shown]:
    found = DicomObject.in_memory(dataset)
    return list(find_frames(found, "x", max_pixels=10**6).pictures(rendering or Rendering(), policy, 64))


def test_each_original_group_is_a_picture() -> None:
    pictures = shown(several(*(level(0, number) for number in (3, 3, 1))))
    assert [each.frame_number for each in pictures] == [1, 2, 3]
    assert [each.steps[0] for each in pictures] == [f"multiplex group {number} of 3" for number in (1, 2, 3)]
    lines = [len(np.flatnonzero(each.pixels[:, SIDE // 2] > 100)) for each in pictures]
    assert lines == [4, 4, 2]  # the middle one of three lies on one row, others half on each of two


@pytest.mark.parametrize("policy", ["spread", "representative", "every:1"])
def test_groups_are_chosen_as_frames_are(policy: str) -> None:
    assert [each.frame_number for each in shown(several(level(0, 2), level(0, 9)), policy=policy)] == [1, 2]


def test_a_derived_group_is_passed_over_and_that_is_said() -> None:
    (picture,) = shown(several(level(0, 1, WaveformOriginality="DERIVED"), level(0, 4)))
    assert picture.frame_number == 1
    assert picture.steps[0] == "multiplex group 2 of 2; left out: 1 (derived)"
    assert picture.steps[1].startswith("drawn: traces of 4 channels")


def test_derived_groups_are_drawn_where_there_are_no_others() -> None:
    pictures = shown(several(*(level(0, WaveformOriginality="DERIVED") for _ in range(2))))
    assert [each.steps[0] for each in pictures] == ["multiplex group 1 of 2", "multiplex group 2 of 2"]


def test_groups_that_cannot_be_drawn_are_left_out_beside_others() -> None:
    sound = level(0, WaveformSampleInterpretation="MB")
    groups = [sound, level(0), level(0, NumberOfWaveformSamples=0), level(0, WaveformOriginality="DERIVED"), sound]
    (picture,) = shown(several(*groups))
    assert picture.steps[0] == (
        "multiplex group 2 of 5; left out: "
        "1 and 5 (samples of a kind that is not drawn), 3 (no samples), 4 (derived)"
    )


def test_a_hundred_groups_left_out_are_not_listed() -> None:
    dataset = several(level(0), *(level(0, WaveformOriginality="DERIVED") for _ in range(100)))
    assert shown(dataset)[0].steps[0] == "multiplex group 1 of 101; left out: 100 others (derived)"


def test_more_channels_than_can_be_told_apart_are_left_out_and_that_is_said() -> None:
    samples = np.zeros((2000, 200), "<i2")
    samples[:, 128:] = 30_000
    (picture,) = shown(waveform(samples, [channel()] * 200))
    (few,) = shown(waveform(samples[:, :128].copy(), [channel()] * 128))
    assert picture.steps[0].startswith("drawn: traces of the first 128 of 200 channels, 10 s")
    assert few.steps[0].startswith("drawn: traces of 128 channels, 10 s")
    np.testing.assert_array_equal(picture.pixels, few.pixels)


@pytest.mark.parametrize(
    ("skew", "samples"),
    [
        ({"ChannelTimeSkew": 0.01}, 2),
        ({"ChannelTimeSkew": -0.01}, -2),
        ({"ChannelSampleSkew": 3}, 3),
        ({"ChannelSampleSkew": "0.4"}, 0),
        ({"ChannelSampleSkew": 1, "ChannelOffset": "0.02"}, 5),
        ({"ChannelOffset": 1e300}, 50),
        ({"ChannelOffset": -1e300}, -50),
    ],
)
def test_channels_are_moved_to_where_they_belong_in_time(skew: dict[str, Any], samples: int) -> None:
    ramp = np.arange(1, 51, dtype="<i2")
    found = signals(np.stack([ramp, ramp], axis=1), [channel(), channel(**skew)])
    expected = [float(sample) if 1 <= sample <= 50 else np.nan for sample in np.arange(1, 51) - samples]
    np.testing.assert_array_equal(found.samples[:, 0], ramp)
    np.testing.assert_array_equal(found.samples[:, 1], expected)
    assert found.moved == abs(samples)


@pytest.mark.parametrize("style", ["traces", "spectrogram"])
def test_a_skewed_channel_is_drawn_later_and_that_is_said(style: str) -> None:
    samples = np.zeros((4000, 2), "<i2")
    samples[2000:2004] = 45  # at 10 s of 20 s, the middle of the page
    delayed = waveform(samples, [channel(), channel(ChannelTimeSkew=1)])
    (picture,) = shown(delayed, Rendering(waveform=style))
    first, second = (np.flatnonzero((half > 60).sum(axis=0) > 3) for half in np.split(picture.pixels, 2))
    assert abs(second.mean() - first.mean() - SIDE / PAGE_SECONDS) < 2
    assert picture.steps[0] == "channels aligned in time: by up to 1 s"


def test_a_moved_channel_shows_what_lies_beyond_the_page() -> None:
    """Of 20 s, the page shows the middle 10: a channel that is 2 s late begins with its third second."""
    second = np.repeat(np.arange(20, dtype="<i2"), 200)
    dataset = waveform(np.stack([second, second], axis=1), [channel(), channel(ChannelTimeSkew=2)])
    page = read_signals(dataset, "x", seconds=10).samples
    assert [page[0, 0], page[-1, 0], page[0, 1], page[-1, 1]] == [5, 14, 3, 12]


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"NumberOfWaveformSamples": 5000}, BrokenFile, "5000 samples and holds 8 bytes"),
        ({"NumberOfWaveformSamples": 0}, NoPixels, "0 samples"),
        ({"NumberOfWaveformChannels": 0}, NoPixels, "0 channels"),
        ({"SamplingFrequency": 0}, BrokenFile, "sampling frequency"),
        ({"WaveformSampleInterpretation": "MB"}, Undecodable, "not drawn: MB"),
        ({"WaveformSampleInterpretation": "DOE JANE"}, Undecodable, "not drawn: none of"),
    ],
)
def test_refusals(more: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        signals(np.zeros((4, 1), "<i2"), [channel()], **more)


def test_an_empty_sequence_is_refused() -> None:
    dataset = waveform(np.zeros((4, 1), "<i2"), [channel()])
    dataset.WaveformSequence = []
    with pytest.raises(NoPixels, match="empty Waveform Sequence"):
        find_groups(dataset, "x")


def test_a_group_that_is_not_there_is_refused() -> None:
    with pytest.raises(NoPixels, match="no multiplex group 2"):
        read_signals(level(0), "x", 1)


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
    (picture,) = find_frames(found, "ecg.dcm", max_pixels=10**6).pictures(Rendering(), "all", 64)
    reference = found.dataset.waveform_array(0)
    np.testing.assert_allclose(read_signals(found.dataset, "ecg").samples, reference, rtol=1e-5)
    assert picture.frame_number == 1
    assert picture.steps == (
        "multiplex group 1 of 2; left out: 2 (derived)",
        "drawn: traces of 12 channels, 10 s, 2500 uV from one to the next",
    )
    drawn = picture.pixels / np.float32(255)
    assert 0.02 < drawn.mean() < 0.2
    assert (drawn.max(axis=0) > 0).all()
