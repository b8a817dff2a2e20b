"""Drawn signals turned into the integers that a device stores (PS3.3 C.7.6.3)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from cbmir.phantoms.shapes import Field


def store(dataset: Dataset, pictures: Field, *, bits: int, signed: bool = False, inverted: bool = False) -> None:
    """Put pictures into the dataset as greyscale pixels of 16 bits allocated, or 8.

    Args:
        dataset: gets the Image Pixel attributes.
        pictures: float32 in [0, 1], shape (rows, columns), or (frames, rows, columns).
        bits: stored, 8 to 16.
        signed: store two's complement, the middle of the range at zero.
        inverted: store the lowest value for white, as MONOCHROME1 asks (C.7.6.3.1.2).
    """
    top = 2**bits - 1
    values = np.rint(np.clip(1 - pictures if inverted else pictures, 0, 1) * top).astype(np.int32)
    values -= 2 ** (bits - 1) if signed else 0
    kind = ("i" if signed else "u") + ("1" if bits == 8 else "2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pictures.shape[-2:]
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = values.astype(f"<{kind}").tobytes()


def grain(rng: np.random.Generator, picture: Field, amount: float) -> Field:
    """The picture with the noise of its device: `amount` is the standard deviation, in parts of the range."""
    noisy: Field = picture + amount * rng.standard_normal(picture.shape, np.float32)
    return noisy
