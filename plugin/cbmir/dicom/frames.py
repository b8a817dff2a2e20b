"""A DICOM object to its 2D pictures, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from cbmir.dicom import waveforms
from cbmir.dicom.boundary import translated
from cbmir.dicom.decode import check_length, decoder_for
from cbmir.dicom.kinds import kind
from cbmir.dicom.layout import Layout, carries_pixels, read_layout
from cbmir.dicom.pixels import picture
from cbmir.errors import NoPixels
from cbmir.types import FloatArray

PIPELINE = "dicom-2d/1"
"""Name and version of the conversion; the version changes whenever a picture would."""


def frames(dataset: Dataset, name: str, *, max_pixels: int, max_frames: int) -> Iterator[tuple[int, FloatArray]]:
    """Turn an object into pictures; at any time at most one frame is in memory.

    Args:
        dataset: as `cbmir.dicom.read.read_dataset` gives it.
        name: what the user calls the file.
        max_pixels: most pixels of one frame; checked before anything is decoded.
        max_frames: most frames given, at least 1; of longer objects that many, evenly spaced.

    Yields:
        (frame number, picture): 1-based, ascending; float32 (rows, columns) or (rows, columns, 3), in [0, 1].
        An object with a waveform instead of pixels gives one picture of its traces, as frame 1.

    Raises:
        cbmir.errors.NoPixels: if there is neither; names the kind of object.
        cbmir.errors.ImplausibleSize, cbmir.errors.BrokenFile, cbmir.errors.Undecodable: see `layout` and `decode`.
    """
    with translated(f"{name} cannot be understood"):
        layout = _checked_layout(dataset, name, max_pixels)
    if layout is None:
        with translated(f"{name} has a waveform that cannot be drawn"):
            trace = waveforms.picture(dataset, name)
        yield 1, trace
        return
    for index in chosen(layout.frames, max_frames):
        with translated(f"{name}: frame {index + 1} cannot be converted"):
            pixels = picture(dataset, layout, index, name)
        yield index + 1, pixels


def chosen(count: int, most: int) -> list[int]:
    """The indices taken of `count` frames: all, or the middles of `most` equal stretches."""
    if count <= most:
        return list(range(count))
    return [(2 * place + 1) * count // (2 * most) for place in range(most)]


def _checked_layout(dataset: Dataset, name: str, max_pixels: int) -> Layout | None:
    """The layout, once it is sure that frames can be tried; None for a waveform."""
    if not carries_pixels(dataset):
        if waveforms.carries_waveform(dataset):
            return None
        raise _no_pixels(dataset, name)
    layout = read_layout(dataset, name, max_pixels=max_pixels)
    decoder_for(layout, name)
    check_length(dataset, layout, name)
    return layout


def _no_pixels(dataset: Dataset, name: str) -> NoPixels:
    if "PixelDataProviderURL" in dataset:
        return NoPixels(f"{name} only points to pixels on another server (JPIP).", "Retrieve it with its pixels.")
    remedy = "Nothing to do if it is a report, a plan or the like; if it should be an image, send it again."
    return NoPixels(f"{name} carries neither pixels nor a waveform: {kind(dataset)}.", remedy)
