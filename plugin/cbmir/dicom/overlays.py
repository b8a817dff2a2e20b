"""Overlay planes: graphics and regions of interest, one bit a pixel (PS3.3 C.9.2, C.9.3; PS3.5 8.1.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from cbmir.dicom import values
from cbmir.dicom.tables import is_little_endian

GROUPS = range(0x6000, 0x6020, 2)
"""The repeating groups 60xx, an overlay plane each."""

BLOCK = 1 << 22
"""Bits of a plane that are unpacked at a time, at least a row of it."""

Cells = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Plane:
    """One overlay plane.

    Attributes:
        rows, columns: of each of its frames, at least 1; not used where it is embedded.
        top, left: row and column of the image, from 0, that its first point lies on; any sign.
        first, frames: the image's frame, from 0, that its first frame belongs to, and how many it has; `frames`
            is 0 for a plane that belongs to each frame of the image.
        data: the bits, the first in the lowest bit of the first byte; empty where they are embedded.
        bit: of the pixel cells, where embedded; else -1.
    """

    rows: int
    columns: int
    top: int
    left: int
    first: int
    frames: int
    data: bytes
    bit: int


def count(dataset: Dataset) -> int:
    """How many overlay planes carry data, in Overlay Data or (retired) in unused bits of the pixel cells."""
    return sum(1 for _ in _planes(dataset))


def are_embedded(dataset: Dataset) -> bool:
    """Whether any of them lies in unused bits of the pixel cells."""
    return any(plane.bit >= 0 for plane in _planes(dataset))


def read_overlays(
    dataset: Dataset, index: int, shape: tuple[int, int], cells: Cells | None
) -> npt.NDArray[np.bool_]:
    """The union of all overlay planes of a frame, graphics (G) and regions of interest (R) alike.

    A plane lies where its Overlay Origin says, and is cut off at the image's edges. One that has neither Number of
    Frames in Overlay nor Image Frame Origin belongs to every frame (PS3.3 C.9.3.1.1). A damaged plane, or one whose
    data are shorter than its header says, is empty.

    Args:
        index: of the frame, 0-based.
        shape: rows and columns of the image.
        cells: the frame's pixel cells as stored, `shape`, unused bits included; None where these are not known,
            such as with lossy pixels.

    Returns:
        bool `shape`, True where any plane is set.
    """
    union = np.zeros(shape, np.bool_)
    for plane in _planes(dataset):
        if plane.bit < 0:
            _add_packed(union, plane, index)
        elif cells is not None and cells.shape == shape and _own_frame(plane, index) is not None:
            union |= (cells >> plane.bit & 1).astype(np.bool_)
    return union


def _planes(dataset: Dataset) -> Iterator[Plane]:
    for group in sorted({tag >> 16 for tag in dataset.keys()}.intersection(GROUPS)):  # noqa: SIM118 not iter, which sorts
        if (plane := _read_plane(dataset, group)) is not None:
            yield plane


def _read_plane(dataset: Dataset, group: int) -> Plane | None:
    """The plane of a group; None where there is none, or it makes no sense."""
    rows, columns = (_whole(dataset, group, element) or 0 for element in (0x0010, 0x0011))
    data = _data(dataset, group)
    bit = -1 if data else _embedded_bit(dataset, group)
    if (not data and bit < 0) or min(rows, columns) < 1:
        return None
    top, left = (_whole(dataset, group, 0x0050, place) for place in (0, 1))
    frames, first = _whole(dataset, group, 0x0015), _whole(dataset, group, 0x0051)
    everywhere = frames is None and first is None
    return Plane(
        rows=rows,
        columns=columns,
        top=0 if top is None else top - 1,
        left=0 if left is None else left - 1,
        first=(1 if first is None else first) - 1,
        frames=0 if everywhere else max(1, frames or 0),
        data=data,
        bit=bit,
    )


def _data(dataset: Dataset, group: int) -> bytes:
    """Overlay Data; words (VR OW) of a big-endian file are swapped, so that the low byte is the first."""
    data = _value(dataset, group, 0x3000)
    if not isinstance(data, bytes):
        return b""
    if is_little_endian(dataset) or dataset[group, 0x3000].VR == "OB":
        return data
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()


def _embedded_bit(dataset: Dataset, group: int) -> int:
    """Overlay Bit Position, if that is a bit of a grey cell outside of its value (PS3.5-2004 8.1.2), or -1."""
    bit = _whole(dataset, group, 0x0102)
    allocated = values.number(dataset, "BitsAllocated")
    if bit is None or allocated not in (8, 16) or not 0 <= bit < allocated:
        return -1
    stored = values.number(dataset, "BitsStored") or allocated
    high = values.number(dataset, "HighBit") or stored - 1
    grey = (values.number(dataset, "SamplesPerPixel") or 1) == 1
    return bit if grey and not high - stored < bit <= high else -1


def _own_frame(plane: Plane, index: int) -> int | None:
    """Which of the plane's frames, 0-based, belongs to a frame of the image; None if none does."""
    if not plane.frames:
        return 0
    own = index - plane.first
    return own if 0 <= own < plane.frames else None


def _add_packed(union: npt.NDArray[np.bool_], plane: Plane, index: int) -> None:
    """Set what a plane's frame sets; frames follow each other without a gap, in mid-byte if need be."""
    own = _own_frame(plane, index)
    if own is None or len(plane.data) * 8 < (own + 1) * plane.rows * plane.columns:
        return
    first, last = max(0, -plane.top), min(plane.rows, union.shape[0] - plane.top)
    left, right = max(0, -plane.left), min(plane.columns, union.shape[1] - plane.left)
    if left >= right:
        return
    for row in range(first, last, step := max(1, BLOCK // plane.columns)):
        count = min(step, last - row)
        bits = _rows(plane, own * plane.rows + row, count)[:, left:right]
        union[plane.top + row :][:count, plane.left + left : plane.left + right] |= bits


def _rows(plane: Plane, row: int, count: int) -> npt.NDArray[np.bool_]:
    """`count` rows of a plane from `row` on, counted through all its frames."""
    start, skipped = divmod(row * plane.columns, 8)
    bits = skipped + count * plane.columns
    packed = np.frombuffer(plane.data, np.uint8, count=(bits + 7) // 8, offset=start)
    flat = np.unpackbits(packed, count=bits, bitorder="little")[skipped:]
    return flat.reshape(count, plane.columns).view(np.bool_)


def _whole(dataset: Dataset, group: int, element: int, place: int = 0) -> int | None:
    """A whole number of an element; None where it is absent or none."""
    value = _value(dataset, group, element)
    if isinstance(value, MultiValue | list | tuple):
        value = value[place] if place < len(value) else None
    elif place:
        return None
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _value(dataset: Dataset, group: int, element: int) -> Any:
    """An element's value; None where it is absent or unreadable. Repeating groups have no keyword in pydicom."""
    try:
        return values.at(dataset, Tag(group, element))
    except (TypeError, ValueError, OverflowError, NotImplementedError, struct.error):
        return None
