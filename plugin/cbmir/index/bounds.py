"""Who can be among the k nearest: lower bounds by one matrix product, with a proof of how far off they can be.

Sought is, for a query q and every member x, a number L that is never above

    s = |x|^2 - 2 q.x           (the squared distance less |q|^2, which is the same for all members)

and a bound of s - L. Members are rows [x, |x|, |x|^2] of a table, a query is [-2 q, -2 w |q|, 1 - w]; their exact
product is s - e with e = w (|x|^2 + 2 |q| |x|). In float32 (u = 2^-24) a scalar product of n terms, added in any
order, with or without fused multiply-add, is off by at most gamma(n) = n u / (1 - n u) times the sum of the
terms' magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), which by Cauchy
and Schwarz is here at most (1 + w) (|x|^2 + 2 |q| |x|). The two further columns and the rounding of the entries
are counted by n = d + 6. So with w = 2 gamma(d + 6) the computed product is off by less than e, and

    L <= s <= L + 2 e

up to underflow. The k-th smallest s is at most the largest L + 2 e of any k members: whoever's L is above that is
out. `limit` adds what underflow may change, and the rounding of the distances that are finally compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

Rows = npt.NDArray[np.intp]
DoubleArray = npt.NDArray[np.float64]

GROUP = 64
"""Members of which the smallest bound is looked at first: n / 64 numbers are then sorted instead of n."""
WIDEST = 1e18
"""The square of a longer vector comes near the end of float32: then nothing is bounded, all are candidates."""
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


def lower(members: FloatArray, queries: FloatArray) -> FloatArray:
    """L of each member, a row of `table`, for each query.

    Args:
        members: float32 (n, d + 2), all of length `WIDEST` at most.
        queries: float32 (q, d), likewise.

    Returns:
        float32 (q, m) with m the next multiple of `GROUP` from n; the surplus is infinite.
    """
    slack = _slack(queries.shape[1])
    factors = np.empty((len(queries), members.shape[1]), np.float32)
    factors[:, :-2] = -2 * queries
    factors[:, -2] = -2 * slack * lengths(queries)
    factors[:, -1] = 1 - slack
    found = np.empty((len(queries), -(-len(members) // GROUP) * GROUP), np.float32)
    np.matmul(factors, members.T, out=found[:, : len(members)])
    found[:, len(members) :] = np.inf
    return found


def limit(members: FloatArray, query: FloatArray, bounds: FloatArray) -> np.float32:
    """A number that no member among the k nearest has an L above.

    Args:
        members: float32 (k, d + 2), any k rows of `table`; the nearer they are, the better.
        query: float32 (d,).
        bounds: float32 (k,), L of these members.
    """
    width, length = len(query), float(lengths(query[np.newaxis])[0])
    own = members[:, -2].astype(np.float64)
    farthest = float((bounds + 2 * _slack(width) * (own * own + 2 * length * own)).max())
    rounding = (width + 6) * 2.0**-50 * (length * length + max(farthest, 0.0))
    underflow = (width + 6) * 2.0**-124 * (1 + length)
    above: np.float32 = np.nextafter(np.float32(farthest + rounding + underflow), np.float32(np.inf))
    return above


def _slack(width: int) -> float:
    terms = (width + 6) * 2.0**-24
    return 2 * terms / (1 - terms)


def candidates(members: FloatArray, query: FloatArray, bounds: FloatArray, k: int) -> Rows:
    """Rows, ascending, of all members that can be among the k nearest of those with a finite L.

    Args:
        members: float32 (n, d + 2), made by `table`.
        query: float32 (d,).
        bounds: float32 (m,), the query's row of what `lower` gave; infinite for members that are left out.
        k: at least 1.
    """
    width = GROUP if bounds.size >= 4 * k * GROUP else 1
    groups = bounds.reshape(-1, width)
    smallest = groups.min(axis=1)
    leaders = _least(smallest, k)
    witnesses = leaders * width + groups[leaders].argmin(axis=1)
    near = np.flatnonzero(smallest <= _limit_of(witnesses, members, query, bounds))
    rows = (near[:, np.newaxis] * width + np.arange(width)).ravel()
    final = _limit_of(rows[_least(bounds[rows], k)], members, query, bounds)
    kept: Rows = rows[bounds[rows] <= final]
    return kept


def _least(values: FloatArray, k: int) -> Rows:
    return np.argpartition(values, k - 1)[:k] if k < len(values) else np.arange(len(values))


def _limit_of(rows: Rows, members: FloatArray, query: FloatArray, bounds: FloatArray) -> np.float32:
    if np.isinf(bounds[rows]).any():  # fewer than k are searched: every one of them is among the k nearest
        return np.float32(HIGHEST)
    return limit(members[rows], query, bounds[rows])
