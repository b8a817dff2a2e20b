"""Values that share bytes with their neighbours, the first in the lowest bits (PS3.5 8.1.1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.dicom.layout import Layout


def single_bits(data: bytes | bytearray | memoryview, layout: Layout, skipped: int = 0) -> npt.NDArray[np.uint8]:
    """Unpack a frame of one bit a pixel.

    Args:
        data: the bytes that the frame lies in.
        layout: its rows and columns.
        skipped: bits before it, since frames follow each other without a gap.

    Returns:
        uint8 (rows, columns) of 0 and 1.

    Raises:
        ValueError: if there are too few bytes.
    """
    end = skipped + layout.frame_bits
    octets = np.frombuffer(data, np.uint8, count=(end + 7) // 8)
    return np.unpackbits(octets, count=end, bitorder="little")[skipped:].reshape(layout.rows, layout.columns)


def twelve_bits(data: bytes | memoryview, layout: Layout, skipped: int = 0) -> npt.NDArray[np.uint16]:
    """Unpack a grey frame of 12 bits a pixel, as ACR-NEMA and early DICOM wrote them.

    Args:
        data: the bytes that the frame lies in.
        layout: its rows and columns.
        skipped: bits before it, none or four.

    Returns:
        uint16 (rows, columns) below 4096.
    """
    octets = np.frombuffer(data, np.uint8)
    halves = np.stack((octets & 0x0F, octets >> 4), axis=-1).reshape(-1)[skipped // 4 :]
    thirds = halves[: 3 * layout.rows * layout.columns].astype(np.uint16).reshape(layout.rows, layout.columns, 3)
    return thirds @ np.array([1, 16, 256], np.uint16)
