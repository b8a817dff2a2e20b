"""Who cannot be among the k nearest: lower bounds by one matrix product, and the proof that they are below.

Wanted is, for a query q and every member x, a number L that is never above

    s = |x|^2 - 2 q.x           (the squared distance less |q|^2, which is the same for all members)

Members are rows [x, |x|, |x|^2] of a table, a query is [-2 q, -2 w |q|, 1 - w]; their exact product is s - e with
e = w (|x|^2 + 2 |q| |x|). In float32 (u = 2^-24) a scalar product of n terms, added in any order, with or without
fused multiply-add, is off by at most gamma(n) = n u / (1 - n u) times the sum of the terms' magnitudes (Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), which by Cauchy and Schwarz is here at most
(1 + w) (|x|^2 + 2 |q| |x|). The two further columns and the rounding of the entries are counted by n = d + 6. So
with w = 2 gamma(d + 6) the computed product L is off by less than e: L <= s, up to underflow.

Once any k members have been measured, whoever's L is above the farthest of these is out; see `ceiling`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

DoubleArray = npt.NDArray[np.float64]

WIDEST = 1e18
"""The square of a longer vector comes near the end of float32: where there is one, nothing is bounded. With
shorter ones no L comes near `HIGHEST` / 2."""
HIGHEST = float(np.finfo(np.float32).max)


def lengths(vectors: FloatArray) -> DoubleArray:
    """Euclidean lengths, float64 (n,), of vectors float32 (n, d)."""
    squares: DoubleArray = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.sqrt(squares)


def table(vectors: FloatArray) -> FloatArray:
    """Members float32 (n, d) as they are searched: (n, d + 2), with their length and its square behind."""
    length = lengths(vectors)
    rows = np.empty((len(vectors), vectors.shape[1] + 2), np.float32)
    rows[:, :-2] = vectors
    rows[:, -2] = np.minimum(length, HIGHEST)
    rows[:, -1] = np.minimum(length * length, HIGHEST)
    return rows


def factors(queries: FloatArray) -> FloatArray:
    """What is multiplied with the table's rows to give L: float32 (q, d + 2) from queries float32 (q, d).

    Queries and members must not be longer than `WIDEST`.
    """
    terms = (queries.shape[1] + 6) * 2.0**-24
    slack = 2 * terms / (1 - terms)
    rows = np.empty((len(queries), queries.shape[1] + 2), np.float32)
    rows[:, :-2] = -2 * queries
    rows[:, -2] = -2 * slack * lengths(queries)
    rows[:, -1] = 1 - slack
    return rows


def ceiling(distance: float, query: FloatArray) -> np.float32:
    """A number that no member has an L above whose distance, as evaluated in float64, is at most `distance`.

    It allows for the rounding of that evaluation, and for what underflow may add to L.

    Args:
        distance: Euclidean; may be infinite.
        query: float32 (d,).
    """
    own = float(lengths(query[np.newaxis])[0])
    rounding = (len(query) + 6) * 2.0**-50 * (own * own + distance * distance)
    underflow = (len(query) + 6) * 2.0**-124 * (1 + own)
    highest = distance * distance - own * own + rounding + underflow
    within = np.float32(max(-HIGHEST / 2, min(highest, HIGHEST / 2)))
    above: np.float32 = np.nextafter(within, np.float32(np.inf))
    return above
