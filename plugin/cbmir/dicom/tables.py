"""Look-up tables of the grey scale: modality and VOI (PS3.3 C.11.1.1, C.11.2.1.1)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values


@dataclass(frozen=True)
class Table:
    """A look-up table.

    Attributes:
        first: the input that the first entry is for.
        entries: outputs, unsigned 16 bit, at least one.
        bits: of an entry; its largest output is 2**bits - 1.
    """

    first: int
    entries: npt.NDArray[np.uint16]
    bits: int

    def apply(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Look up each input, rounded; those before the first entry get that, those behind the last the last."""
        positions = np.rint(np.nan_to_num(inputs, nan=self.first)) if inputs.dtype.kind == "f" else inputs
        last = self.entries.size - 1
        clipped = np.clip(positions.astype(np.int64, copy=False) - self.first, 0, last)
        return self.entries[clipped]

    def signed(self) -> Table:
        """The same, its first input read as one of 16 bits with a sign."""
        return replace(self, first=(self.first + 0x8000) % 0x10000 - 0x8000)

    def meeting(self, inputs: Callable[[], tuple[float, float]]) -> Table:
        """The same, its first input taken with a sign or without, whichever way it serves more of the inputs.

        Whether it has one depends on the inputs (PS3.3 C.11.2.1.1). Those of a VOI LUT come from the modality, and
        may be negative where stored values are not: neither Pixel Representation, by which an implicit value
        representation is read, nor one that was written tells.

        Args:
            inputs: gives the lowest and the highest; called only where both ways are possible.
        """
        without = self.first & 0xFFFF
        if without < 0x8000:
            return self
        low, high = inputs()

        def served(first: int) -> float:
            return min(high, first + self.entries.size - 1) - max(low, first)

        return replace(self, first=max((self.first, without, without - 0x10000), key=served))


def read_table(item: Dataset, *, little_endian: bool) -> Table | None:
    """The table of an item of a Modality LUT or VOI LUT sequence; None if it is incomplete."""
    descriptor = values.numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    count = int(descriptor[0]) & 0xFFFF or 0x10000
    entries = _entries(item, count, little_endian)
    if not entries.size:
        return None
    bits = int(descriptor[2])
    return Table(int(descriptor[1]), entries, bits if 8 <= bits <= 16 else 16)


def _entries(item: Dataset, count: int, little_endian: bool) -> npt.NDArray[np.uint16]:
    """LUT Data has the VR US or OW, and by old habit packs 8-bit entries two to a word (PS3.3 C.11.1.1.1)."""
    data = values.value(item, "LUTData")
    if isinstance(data, bytes):
        return words(data, wide=len(data) >= 2 * count, little_endian=little_endian)[:count]
    return np.asarray(values.numbers(item, "LUTData")[:count], np.int64).astype(np.uint16)


def words(data: bytes, *, wide: bool, little_endian: bool) -> npt.NDArray[np.uint16]:
    """Entries that lie in 16-bit words (VR OW): one a word if `wide`, else two a word, the low byte first."""
    whole = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2").astype("<u2")
    return whole.astype(np.uint16) if wide else whole.view(np.uint8).astype(np.uint16)


def is_little_endian(dataset: Dataset) -> bool:
    """Whether words in the dataset have their low byte first."""
    little = dataset.original_encoding[1]
    return sys.byteorder == "little" if little is None else little
