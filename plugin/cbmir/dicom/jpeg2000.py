"""Whether a JPEG 2000 codestream may be decoded (ISO 15444-1 A, I): its decoders make room for whatever it claims.

A frame of eighty bytes can ask OpenJPEG for 16 GB, by cutting the picture into blocks of one pixel, and end the
process in OpenJPH, which divides by the size of a tile without a look at it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

START = b"\xff\x4f\xff\x51"
"""SOC and SIZ, which begin a codestream."""

SIGNATURE = b"jP  "
"""The type of the first box of a JP2 file, in which some writers wrap the codestream."""

CODESTREAM_BOX = b"jp2c"

COD, COC, TILE_PART, START_OF_DATA, END = 0x52, 0x53, 0x90, 0x93, 0xD9
HEADERS = {0x50, 0x51, COD, COC, 0x55, *range(0x57, 0x5A), *range(0x5C, 0x62), 0x63, 0x64, *range(0x74, 0x79)}
"""The second bytes of the markers in front of the data: of any other nobody knows how long its segment is."""

COMMENT, END_MARK = b"\xff\x64", b"\xff\xd9"
"""COM and EOC (A.9.2, A.4.4)."""

MAX_TILES = 10_000
MAX_BLOCKS = 250_000
"""Code-blocks of a frame, for each of which OpenJPEG keeps 400 bytes; 50 million pixels have usually 12,000."""

MAX_PACKETS = 2_000_000
"""Packets of a frame: of each layer, component, resolution and precinct one."""

MAX_LEVELS = 32


@dataclass(frozen=True)
class Size:
    """What the marker SIZ says (A.5.1): sides in pixels, and the number of components."""

    columns: int
    rows: int
    tiles: int
    components: int


def start_of(frame: bytes) -> int:
    """Where the codestream begins, in front or behind the boxes of a JP2 file (I.4); -1 where there is none."""
    at = 0 if frame.startswith(START) else _first_box(frame, CODESTREAM_BOX)
    return at if at >= 0 and frame.startswith(START, at) else -1


def bare(frame: bytes) -> bytes:
    """The codestream without the boxes around it; any other frame as it is."""
    at = start_of(frame)
    return frame[at:] if at > 0 else frame


def fault(frame: bytes) -> str:
    """Why a codestream must not be decoded, to go on after "frame 1"; empty if it may be."""
    if start_of(frame) != 0:
        return "is no JPEG 2000 codestream"
    size = _size(frame)
    if size is None:
        return "describes its tiles or components in a way that is not read here"
    if size.tiles > MAX_TILES:
        return f"is cut into {size.tiles} tiles"
    return _fault_of_styles(frame, size)


def _first_box(frame: bytes, wanted: bytes) -> int:
    """Where the contents of the first box of that type begin; -1 where there is none."""
    at = 0 if frame[4:8] == SIGNATURE else len(frame)
    while at + 16 <= len(frame):
        length, kind = struct.unpack_from(">L4s", frame, at)
        header = 16 if length == 1 else 8
        if kind == wanted:
            return at + header
        if length == 1:
            (length,) = struct.unpack_from(">Q", frame, at + 8)
        at += length if length >= header else len(frame)
    return -1


def _size(frame: bytes) -> Size | None:
    """SIZ; None if it makes no sense, or subsamples a component, or gives components different depths."""
    if len(frame) < 45:
        return None
    right, bottom, left, top, width, height, tile_left, tile_top = struct.unpack_from(">8L", frame, 8)
    (components,) = struct.unpack_from(">H", frame, 40)
    kinds = {frame[at : at + 3] for at in range(42, 42 + 3 * components, 3)}
    usable = len(kinds) == 1 and kinds.pop()[1:] == b"\1\1"
    inside = left < right and top < bottom and tile_left <= left and tile_top <= top
    if not (usable and inside and left < tile_left + width and top < tile_top + height):
        return None
    across, down = -(-(right - tile_left) // width), -(-(bottom - tile_top) // height)
    return Size(right - left, bottom - top, across * down, components)


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """(marker, offset) of each segment in front of the data of the main header and of every tile-part (A.4.2).

    A marker that nobody knows comes as 0: what follows it cannot be told.
    """
    at, part = 2, 0
    while at + 4 <= len(frame):
        mark, kind, length = struct.unpack_from(">BBH", frame, at)
        if mark != 0xFF or kind not in (*HEADERS, TILE_PART, START_OF_DATA, END):
            yield 0, at
            return
        if kind == END:
            return
        if kind == START_OF_DATA:
            promised = _promised(frame, part)
            at = max(at + 2, part + promised) if promised else len(frame)
            continue
        if kind == TILE_PART:
            part = at
        yield kind, at
        at += 2 + max(2, length)


def _promised(frame: bytes, part: int) -> int:
    """How many bytes a tile-part has, Psot (A.4.2); 0 for all that are left."""
    return int.from_bytes(frame[part + 6 : part + 10], "big")


def uncommented(frame: bytes) -> bytes:
    """The codestream without comments between its last tile-part and its end, where none belong (A.2): Kakadu has
    filled up codestreams so. Any other as it is."""
    parts = (at + _promised(frame, at) for kind, at in _segments(frame) if kind == TILE_PART)
    at = last = max(parts, default=len(frame))
    while frame.startswith(COMMENT, at):
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return frame[:last] + frame[at:] if frame.startswith(END_MARK, at) else frame


def missing(frame: bytes) -> int:
    """How many bytes a tile-part promises beyond the end of the codestream; 0 of a whole one."""
    parts = (at for kind, at in _segments(frame) if kind == TILE_PART)
    return max((0, *(at + _promised(frame, at) - len(frame) for at in parts)))


def _fault_of_styles(frame: bytes, size: Size) -> str:
    """What is wrong with the segments of coding style (A.6.1, A.6.2), or hides them."""
    styles: list[Style] = []
    for kind, at in _segments(frame):
        short = kind == TILE_PART and (len(frame) < at + 12 or 0 < _promised(frame, at) < 12)
        style = _style(frame, at) if kind == COD else _style_of_component(frame, at, size) if kind == COC else None
        if not kind or short or (style is None and kind in (COD, COC)):
            return "has a header that is damaged"
        if style is not None:
            styles.append(style)
    if not styles:
        return "does not say how it is coded"
    layers = max(style[0] for style in styles)
    blocks, packets = (max(each) for each in zip(*(_cost(size, style) for style in styles), strict=True))
    if blocks > MAX_BLOCKS:
        return f"is cut into {blocks} blocks"
    return f"is cut into {packets * layers} packets" if packets * layers > MAX_PACKETS else ""


Style = tuple[int, int, tuple[int, int], tuple[tuple[int, int], ...]]
"""Layers; levels; the binary logarithms of a code-block's sides, and of a precinct's at each resolution."""


def _style(frame: bytes, at: int) -> Style | None:
    if at + 14 > len(frame):
        return None
    style, layers = frame[at + 4], int.from_bytes(frame[at + 6 : at + 8], "big")
    return _coded(frame, at + 9, layers, bool(style & 1))


def _style_of_component(frame: bytes, at: int, size: Size) -> Style | None:
    start = at + (6 if size.components > 256 else 5)
    if start + 6 > len(frame):
        return None
    return _coded(frame, start + 1, 1, bool(frame[start] & 1))


def _coded(frame: bytes, at: int, layers: int, divided: bool) -> Style | None:
    """SPcod or SPcoc (A.6.1): from the number of levels on."""
    levels, block = frame[at], ((frame[at + 1] & 15) + 2, (frame[at + 2] & 15) + 2)
    if levels > MAX_LEVELS or at + 5 + (levels + 1) * divided > len(frame):
        return None
    sides = frame[at + 5 : at + 6 + levels] if divided else b"\xff" * (levels + 1)
    return layers, levels, block, tuple((each & 15, each >> 4) for each in sides)


@lru_cache(maxsize=64)
def _cost(size: Size, style: Style) -> tuple[int, int]:
    """(code-blocks, packets of one layer) of a frame that is coded in one style, as all of a series are."""
    _, levels, block, precincts = style
    blocks = packets = 0
    for resolution, precinct in enumerate(precincts):
        shrunk = levels - resolution
        columns, rows = ((side >> shrunk) + 1 for side in (size.columns, size.rows))
        within = [min(one, max(0, other - (resolution > 0))) for one, other in zip(block, precinct, strict=True)]
        blocks += max(size.tiles, _pieces(columns, rows, *within))
        packets += max(size.tiles, _pieces(columns, rows, *precinct))
    return blocks * size.components, packets * size.components


def _pieces(columns: int, rows: int, across: int, down: int) -> int:
    """How many rectangles of 2**across x 2**down pixels cover so many."""
    return -(-columns >> across) * -(-rows >> down)
