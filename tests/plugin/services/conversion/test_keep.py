"""A file's pictures on the shelf: all of them or none, and no more than one in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from cbmir.errors import UnusableInput
from cbmir.services.conversion.keep import keep
from cbmir.settings import Settings

SIDE = 512


@pytest.fixture
def every_frame(settings: Settings) -> Settings:
    return replace(settings, frames="all", max_frames=10_000)


@pytest.fixture
def cine(make_dicom: Callable[..., bytes]) -> Callable[[list[bytes]], bytes]:
    """An object of these JPEG-LS frames."""

    def make(frames: list[bytes]) -> bytes:
        dataset = dcmread(BytesIO(make_dicom(Rows=SIDE, Columns=SIDE, NumberOfFrames=len(frames))))
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].VR = "OB"
        stream = BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    return make


def frame(level: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(np.full((SIDE, SIDE), level, np.uint8)))


def pictures(settings: Settings) -> list[Path]:
    return [path for path in settings.pictures.rglob("*") if path.is_file()]


def test_memory_does_not_grow_with_the_frames(cine: Callable[[list[bytes]], bytes], every_frame: Settings) -> None:
    data = cine([frame(level) for level in range(200)])
    keep(data, "x.dcm", every_frame, "0" * 64)
    for path in pictures(every_frame):
        path.unlink()
    tracemalloc.start()
    try:
        _, frames = keep(data, "x.dcm", every_frame, "0" * 64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frames) == len(pictures(every_frame)) == 200
    assert peak < 20 * SIDE * SIDE, "of 200 pictures of so many bytes"


def test_of_a_file_that_is_refused_in_the_middle_nothing_is_left(
    cine: Callable[[list[bytes]], bytes], every_frame: Settings
) -> None:
    with pytest.raises(UnusableInput):
        keep(cine([frame(1), frame(2), b"\xff\xd8 no more"]), "x.dcm", every_frame, "0" * 64)
    assert pictures(every_frame) == []


def test_pictures_that_are_alike_are_kept_once(cine: Callable[[list[bytes]], bytes], every_frame: Settings) -> None:
    _, frames = keep(cine([frame(1), frame(1), frame(2)]), "x.dcm", every_frame, "0" * 64)
    assert [each.frame_number for each in frames] == [1, 2, 3]
    assert len(pictures(every_frame)) == 2
