"""Compressed cells with more bits than the value: what lies in the others is no part of it, as in native pixels."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from cbmir.dicom.decode import Decoded, decoder_for
from cbmir.dicom.frames import find_frames
from cbmir.dicom.layout import read_layout
from cbmir.dicom.read import DicomObject
from cbmir.dicom.rendering import Rendering
from cbmir.types import ByteArray

TWELVE = {"BitsStored": 12, "HighBit": 11}


def jpeg_2000(cells: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(cells, codecformat="J2K", level=0))


WITHOUT_LOSS = {
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLosslessSV1: lambda cells: imagecodecs.jpeg8_encode(cells, lossless=True, predictor=1, bitspersample=16),
    JPEG2000Lossless: jpeg_2000,
    HTJ2KLossless: lambda cells: imagecodecs.htj2k_encode(cells, reversible=True),
}


def decoded(dataset: Dataset) -> Decoded:
    found = DicomObject.in_memory(dataset)
    return decoder_for(found, read_layout(found, "x.dcm", max_pixels=10**6), "x.dcm").frame(0, 0)


def compressed(dataset: Dataset, frame: bytes, syntax: str) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset["PixelData"].VR = "OB"
    return dataset


def shown(dataset: Dataset, rendering: Rendering) -> ByteArray:
    return find_frames(DicomObject.in_memory(dataset), "x.dcm", max_pixels=10**6).picture(0, rendering).pixels


def with_overlay(dataset: Dataset) -> Dataset:
    """An overlay in bit 13 of the cells."""
    places = {0x10: ("US", dataset.Rows), 0x11: ("US", dataset.Columns), 0x40: ("CS", "G"), 0x50: ("SS", [1, 1])}
    for element, (vr, value) in {**places, 0x100: ("US", 16), 0x102: ("US", 13)}.items():
        dataset.add_new((0x6000, element), vr, value)
    return dataset


@pytest.mark.parametrize("high", [11, 13])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", WITHOUT_LOSS)
def test_they_do_not_matter(make_object: Any, syntax: str, signed: bool, high: int) -> None:
    cells = np.random.default_rng(0).integers(0, 1 << 16, (40, 40), np.uint16)
    elements = {"BitsStored": 12, "HighBit": high, "PixelRepresentation": int(signed)}
    native = decoded(make_object(cells, **elements)).values
    assert native.max() < 1 << 12
    found = compressed(make_object(cells, **elements), WITHOUT_LOSS[syntax](cells), syntax)
    assert np.array_equal(decoded(found).values, native)


def test_an_overlay_in_them_is_drawn(make_object: Any) -> None:
    cells = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    cells[5:9, 3:30] |= 1 << 13
    found = with_overlay(compressed(make_object(cells, **TWELVE), imagecodecs.jpegls_encode(cells), JPEGLSLossless))
    bare, drawn = (shown(found, Rendering(side=10_000, overlays=each)) for each in (False, True))
    assert np.array_equal(drawn != bare, cells >> 13 == 1)


def test_an_overlay_in_them_does_not_run_into_the_values_of_a_smaller_picture(make_object: Any) -> None:
    rows, columns = np.mgrid[:512, :512]
    value, unused = (rows + columns).astype(np.uint16), ((rows + columns) % 2 << 13).astype(np.uint16)
    window = {"WindowCenter": 512, "WindowWidth": 1024}
    objects = (
        with_overlay(compressed(make_object(cells, **TWELVE, **window), jpeg_2000(cells), JPEG2000Lossless))
        for cells in (value, value | unused)
    )
    clean, other = (shown(each, Rendering(side=32)).astype(int) for each in objects)
    assert np.abs(clean - other).max() <= 1
