"""Which frames are taken of a long object: by their place, or by what they look like."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.errors import BadRequest
from cbmir.types import ByteArray

POLICIES = "all, every:N, spread and representative"
"""The names of the policies, as a sentence has them."""

EVERY = re.compile(r"every:0*([1-9][0-9]{0,8})")
"""Each N-th frame, N at least 1."""

LIMIT = 100_000
"""No policy takes more frames of one object than this, whatever its header claims."""

FREE, BYTES_PER_FRAME = 10_000, 1024
"""Frames that are taken of any object, and bytes that it has for each more: of tiny ones a small file may have
millions, and each costs a tenth of a millisecond beside its decoder."""

CANDIDATES = 4096
"""Frames that `representative` looks at: a small file may have millions."""

SIDE = 16
"""Rows and columns of a thumbnail."""

CLOSE = 4.0
"""Grey levels, root mean square over a thumbnail, up to which two frames look alike: above noise, which an area
average takes away, and as much as one cell of 256 makes that changes by a quarter of the range."""

BLOCK = 4096
"""Thumbnails that are turned into floating-point numbers at a time."""


def check_policy(policy: str) -> None:
    """Refuse what is no policy.

    Raises:
        cbmir.errors.BadRequest: naming the policies that there are.
    """
    if policy not in ("all", "spread", "representative") and not EVERY.fullmatch(policy):
        raise BadRequest(
            f"There is no frame policy {policy[:40]!r}.", f"Those there are: {POLICIES}; N is at least 1."
        )


def limit(size: int) -> int:
    """The most frames that are taken of an object whose pixels have so many bytes, whatever the policy."""
    return min(LIMIT, FREE + size // BYTES_PER_FRAME)


def chosen(count: int, policy: str, most: int, most_of_all: int = LIMIT) -> list[int]:
    """The frames taken of an object, by their place alone.

    Args:
        count: frames that there are, at least 0.
        policy: "all", whatever `most` says; "every:N", which takes the frames 0, N, 2N ...; or "spread". Where
            there are more than `most`, the middles of as many equal stretches of them are taken.
        most: frames, at least 1.
        most_of_all: frames that "all" takes, and any other, in the same way; see `limit`.

    Returns:
        Indices, 0-based, ascending.

    Raises:
        cbmir.errors.BadRequest: for any other policy; "representative" needs to see the frames.
    """
    check_policy(policy)
    if policy == "representative":
        raise BadRequest("Representative frames cannot be chosen by their place alone.", "Hand in thumbnails.")
    every = EVERY.fullmatch(policy)
    step = int(every[1]) if every else 1
    among = -(-count // step)
    return [step * place for place in _spread(among, most_of_all if policy == "all" else min(most, most_of_all))]


def _spread(count: int, most: int) -> list[int]:
    """All of `count` places, or the middles of `most` equal stretches."""
    if count <= most:
        return list(range(count))
    return [(2 * place + 1) * count // (2 * most) for place in range(most)]


def thumbnail(pixels: ByteArray) -> ByteArray:
    """A frame for `representative` to see.

    Args:
        pixels: uint8 (rows, columns) or (rows, columns, 3).

    Returns:
        uint8 (`SIDE`, `SIDE`): the average grey of each area.
    """
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small.convert("L"), np.uint8)


def representative(thumbnails: npt.NDArray[np.uint8], most: int, first: int | None = None) -> list[int]:
    """The frames that show what there is to see: greedy k-centre (Gonzalez 1985).

    Begins with one frame and goes on with the one farthest from all those chosen, the first of equals, until
    `most` are chosen or each frame is within `CLOSE` of one. No choice of as many frames can leave the frame worst
    off at less than half the distance. Takes one pass over the frames for each that is chosen.

    Args:
        thumbnails: uint8 (n, s, s), in the order of the frames; n may be 0.
        most: frames, at least 1.
        first: index of the frame to begin with; without it the middle one.

    Returns:
        Indices, 0-based, ascending; at most `most` and at least one where there is any frame.
    """
    if not len(thumbnails):
        return []
    flat = thumbnails.reshape(len(thumbnails), -1)
    centres = [len(flat) // 2 if first is None else first]
    nearest = _distances(flat, centres[0])
    while len(centres) < most and nearest.max() > CLOSE:
        centres.append(int(nearest.argmax()))
        np.minimum(nearest, _distances(flat, centres[-1]), out=nearest)
    return sorted(centres)


def _distances(flat: npt.NDArray[np.uint8], centre: int) -> npt.NDArray[np.float32]:
    """(n,): the root mean square difference of each row from one of them, in grey levels."""
    squares = np.empty(len(flat), np.float32)
    for start in range(0, len(flat), BLOCK):
        differences = flat[start : start + BLOCK].astype(np.float32) - flat[centre]
        squares[start : start + BLOCK] = np.einsum("ij,ij->i", differences, differences)
    return np.asarray(np.sqrt(squares / flat.shape[1]), np.float32)
