"""Palette colour look-up tables, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.tables import is_little_endian, words
from cbmir.errors import BrokenFile
from cbmir.types import FloatArray

MAX_ENTRIES = 0x10000
"""Entries that a palette may have: its descriptor holds a 16-bit number, of which 0 means this."""


def read_palette(dataset: Dataset, name: str, *, signed: bool) -> tuple[int, FloatArray]:
    """The palette of an object.

    Args:
        dataset: the object's header.
        name: what the user calls it.
        signed: whether stored values are: the first of them that the palette maps is then, too, whichever value
            representation its descriptor was given (PS3.3 C.7.6.3.1.5).

    Returns:
        The stored value that the first entry is for, and the entries: float32 (n, 3) in [0, 1], n >= 1.

    Raises:
        cbmir.errors.BrokenFile: if a table is missing, or they do not fit their descriptor.
    """
    descriptor = values.numbers(dataset, "RedPaletteColorLookupTableDescriptor")
    if len(descriptor) != 3:
        raise BrokenFile(f"{name} is PALETTE COLOR but describes no palette.", RESEND)
    count, first, bits = int(descriptor[0]) & 0xFFFF or MAX_ENTRIES, int(descriptor[1]) & 0xFFFF, int(descriptor[2])
    tables = [_table(dataset, colour, count, bits) for colour in ("Red", "Green", "Blue")]
    if not all(table.size for table in tables) or len({table.size for table in tables}) > 1:
        raise BrokenFile(f"{name} has a palette whose tables are missing or differ in length.", RESEND)
    palette = np.stack(tables, axis=-1).astype(np.float32)
    return first - (0x10000 if signed and first >= 0x8000 else 0), palette / _largest(palette)


def _largest(palette: FloatArray) -> float:
    """The entry that means full light, by what is there: some writers say 16 bits and give 8, or the reverse."""
    return 255.0 if palette.max() <= 255 else 65535.0


def _table(dataset: Dataset, colour: str, count: int, bits: int) -> npt.NDArray[np.uint16]:
    little = is_little_endian(dataset)
    plain = values.octets(dataset, f"{colour}PaletteColorLookupTableData")
    if plain:
        return words(plain, wide=len(plain) >= 2 * count, little_endian=little)[:count]
    segments = values.octets(dataset, f"Segmented{colour}PaletteColorLookupTableData")
    numbers = words(segments, wide=bits > 8, little_endian=little).tolist()
    return np.asarray(expand(numbers, wide=bits > 8)[:count], np.uint16)


def expand(segments: list[int], *, wide: bool) -> list[int]:
    """Write a segmented table out (PS3.3 C.7.9.2): discrete, linear and indirect segments.

    Args:
        segments: numbers of 16 bits each if `wide`, else of 8.

    Returns:
        At most `MAX_ENTRIES` entries; what follows an unknown segment, or one that runs over the end, is left out.
    """
    entries: list[int] = []
    at = 0
    while at + 2 < len(segments) and len(entries) < MAX_ENTRIES:
        at = _repeat(segments, at, entries, wide) if segments[at] == 2 else _append(segments, at, entries)
    return entries[:MAX_ENTRIES]


def _append(segments: list[int], at: int, entries: list[int]) -> int:
    """Append the discrete (0) or linear (1) segment at `at`; say where the next one begins."""
    kind, length, body = segments[at], segments[at + 1], at + 2
    if kind == 0:
        entries.extend(segments[body : body + length])
        return body + length
    if kind == 1 and entries:
        entries.extend(int(each) for each in np.rint(np.linspace(entries[-1], segments[body], length + 1)[1:]))
        return body + 1
    return len(segments)


def _repeat(segments: list[int], at: int, entries: list[int], wide: bool) -> int:
    """Append what the indirect segment (2) at `at` points to, by a byte offset; say where the next one begins."""
    width, count = (2, 2) if wide else (4, 1)
    body = segments[at + 2 : at + 2 + width]
    offset = sum(each << 8 * count * place for place, each in enumerate(body)) // count
    for _ in range(segments[at + 1]):
        if offset + 2 >= len(segments) or segments[offset] == 2 or len(entries) >= MAX_ENTRIES:
            break
        offset = _append(segments, offset, entries)
    return at + 2 + width
