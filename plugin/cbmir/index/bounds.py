"""Who cannot be among the k nearest: how far away a member is at least, and the proof.

*The distance* is what `cbmir.index.measure.distance` gives; u is 2^-24, the rounding of float32. Some k members are
measured first; let t be the farthest of their distances. A member is out if it provably lies beyond t.

**A sum of squares in float32** (`rough`). The differences x - q, their squares and the sums are rounded once each,
in any order, fused or not. As no term is negative, the result is off by a factor of at most (1 + u)^(d + 3), and by
2^-149 a term where it underflows. So where the distance is at most t, it is at most `square_above(t, d)`.

**Cells** (`cbmir.index.cells`). Members x and queries q are mapped to

    y(x) = s (A (x - c), |z - A'A z|)        z = x - c; the last coordinate only where A has fewer rows than columns

With orthonormal rows of A, y brings no two points farther apart than s times their distance: the last coordinate
differs by no more than the remainders do (triangle inequality), and A and the remainder are at right angles. The
rows are orthonormal up to 1e-10, which is checked: the factor is at most 1 + 1e-9. s is a power of two for which
all |y(x)| are at most 1; y is evaluated in float64, which is off by less than 1e-10, and rounded to float32.

A member is kept as 8-bit codes in the box of its cell: v = origin + step * code. Its cell's `slack` is at least

    max |y(x) - v|, measured    +  2^-23, for the rounding of y    +  4 u |width of the box|

With r the query's y rounded to float32, off by no more than `reach` = 2^-23 |r|, the triangle inequality says

    |r - v|  <=  s (1 + 1e-9) |q - x| + slack + reach

In float32 each r - v is off by at most 2 u (|r - v| + width of the box), which is in the slack and in the factor;
squares and sums add a factor of (1 + u)^(m + 2) for m coordinates. So where the distance is at most t, the computed
sum is at most the square of (s t + slack + reach) (1 + `margin(m)`), with more to spare than the evaluation of this
in float64 may take. The sum over some of the coordinates is no larger, and neither is the distance to the box that
holds all v: whole cells fall to the same test.

For a query so far away that |r| is above `FARTHEST`, where float32 might overflow, nothing is bounded by cells.
"""

from __future__ import annotations

import numpy as np

from cbmir.compiling import compiled, reordered
from cbmir.types import FloatArray

UNIT = 2.0**-24
FARTHEST = 1e15
"""In units of the gallery's radius."""


@compiled
def margin(terms: int) -> float:
    """What rounding may add to the root of a sum of so many squares in float32, as a part of it."""
    return (terms + 16) * UNIT


@compiled
def square_above(length: float, terms: int) -> np.float32:
    """What no sum of so many squares, computed in float32, exceeds whose true root is at most `length`; or inf."""
    above = length * (1.0 + margin(terms))
    return np.float32(above * above * (1.0 + 4 * UNIT) + 1e-37)


@reordered
def rough(vector: FloatArray, query: FloatArray) -> np.float32:
    """The squared distance of two float32 vectors, added in whatever order is fast."""
    total = np.float32(0)
    for axis in range(query.shape[0]):
        difference = vector[axis] - query[axis]
        total += difference * difference
    return total
