"""A DICOM waveform drawn as its reader sees it: the channels' traces below each other, bright on black."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from cbmir.dicom import spectrogram, values
from cbmir.dicom.signals import Signals, read_signals
from cbmir.dicom.traces import draw
from cbmir.types import FloatArray

SIDE = 512
"""Rows and columns of the picture."""

PAGE_SECONDS = 10.0
"""Seconds from the left edge to the right: a page of an EEG, and the length of a resting ECG."""

EEG_STRIP = 100.0
"""Microvolts from one trace's baseline to the next, for brain, muscle and eye: 10 mm at the usual 10 uV/mm."""

ECG_STRIP = 2500.0
"""Microvolts from one trace's baseline to the next, for the heart: 25 mm at the usual 10 mm/mV."""

HEART = ("1.2.840.10008.5.1.4.1.1.9.1.", "1.2.840.10008.5.1.4.1.1.9.2.", "1.2.840.10008.5.1.4.1.1.9.3.")
"""SOP classes of ECG, haemodynamic and cardiac electrophysiology waveforms (PS3.4 B.5)."""


def carries_waveform(dataset: Dataset) -> bool:
    """Whether there is a Waveform Sequence."""
    return "WaveformSequence" in dataset


def picture(dataset: Dataset, name: str, style: str, place: int = 0) -> tuple[FloatArray, tuple[str, ...]]:
    """Draw the `PAGE_SECONDS` in the middle of a multiplex group, as `traces` or as a `spectrogram`.

    The scale is fixed, and so comparable between recordings: `SIDE / PAGE_SECONDS` columns a second, and a trace's
    distance to the next is worth `ECG_STRIP` or `EEG_STRIP`. Each trace lies around its median. Where not all
    channels are voltages, such as pressures, each fills its strip with its own range instead.

    Returns:
        float32 (SIDE, SIDE) in [0, 1]: 0 is paper, 1 is ink; a shorter recording leaves the right side empty. And
        what was done, in order, in words.

    Raises:
        cbmir.errors.UnusableInput: as `cbmir.dicom.signals.read_signals` does.
    """
    page = read_signals(dataset, name, place, PAGE_SECONDS)
    shown = f"of {_channels(page)}, {len(page.samples) / page.frequency:.3g} s"
    if style == "spectrogram":
        return spectrogram.draw(page, side=SIDE), (*_aligned(page), f"drawn: spectrogram {shown}")
    drawn, scale = _traces(page, ECG_STRIP if _is_heart(dataset) else EEG_STRIP)
    return drawn, (*_aligned(page), f"drawn: traces {shown}, {scale} from one to the next")


def _channels(page: Signals) -> str:
    drawn = page.samples.shape[1]
    return f"{drawn} channels" if drawn == page.channels else f"the first {drawn} of {page.channels} channels"


def _aligned(page: Signals) -> tuple[str, ...]:
    return (f"channels aligned in time: by up to {page.moved / page.frequency:.3g} s",) if page.moved else ()


def _is_heart(dataset: Dataset) -> bool:
    return values.text(dataset, "SOPClassUID").startswith(HEART)


def _traces(signals: Signals, strip: float) -> tuple[FloatArray, str]:
    """The traces, and what a strip is worth."""
    page = signals.samples - np.nan_to_num(np.nanmedian(signals.samples, axis=0))
    heights = page / (np.float32(strip) if signals.electrical else _own_range(page))
    width = min(SIDE, max(1, round(SIDE * len(page) / (PAGE_SECONDS * signals.frequency))))
    scale = f"{strip:g} uV" if signals.electrical else "each channel's own range"
    return draw(heights, width=width, side=SIDE), scale


def _own_range(page: FloatArray) -> FloatArray:
    """Twice the 99th percentile of each channel's distance from its median; 1 where that is nothing."""
    reach = 2 * np.nan_to_num(np.nanpercentile(np.abs(page), 99, axis=0))
    return np.where(reach > 0, reach, 1).astype(np.float32)
