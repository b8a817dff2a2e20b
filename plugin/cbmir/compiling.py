"""Loops as machine code, by numba: kept on disk where there is a folder for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(kernel: Kernel) -> Kernel:
    """Machine code in place of the function, without the interpreter's lock; rounding is left as written."""
    return _compiled(kernel, set())


def reordered(kernel: Kernel) -> Kernel:
    """As `compiled`, but sums may be added in any order, and products fused with them."""
    return _compiled(kernel, {"reassoc", "contract"})


def compiled_for(*types: Any) -> Callable[[Kernel], Kernel]:
    """As `compiled`, of a function that returns nothing; at once, for arguments of these types of numba's."""
    return lambda kernel: _compiled(kernel, set(), numba.void(*types))


def woven(kernel: Kernel) -> Kernel:
    """Made part of the compiled code that calls it, and rounded as that: for loops too short to be called."""
    return cast(Kernel, numba.njit(inline="always")(kernel))


def _compiled(kernel: Kernel, freedom: set[str], signature: Any = None) -> Kernel:
    try:
        fast: Any = numba.njit(signature, cache=True, nogil=True, fastmath=freedom)(kernel)
    except RuntimeError:  # there is no folder to keep it in: it is compiled once a process
        return cast(Kernel, numba.njit(signature, nogil=True, fastmath=freedom)(kernel))
    _keep_while_all_stay(fast._cache._cache_file, Path(kernel.__code__.co_filename).parent)
    return cast(Kernel, fast)


def _keep_while_all_stay(kept: Any, folder: Path) -> None:
    """Have machine code made anew once any file in its folder has changed: it may hold functions of those, woven
    into it, and numba, which has no public word for it, looks at the file of the outermost one alone."""
    kept._source_stamp = kept._source_stamp, _stamps(folder)


@lru_cache
def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of each module in a folder."""
    found = ((path.name, path.stat()) for path in sorted(folder.glob("*.py")))
    return tuple((name, told.st_mtime_ns, told.st_size) for name, told in found)
