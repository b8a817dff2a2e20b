"""An exact index in one file; see `cbmir.index.container`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.index import cells, container
from cbmir.index.axes import Axes
from cbmir.index.cells import Cells
from cbmir.index.exact import ExactIndex
from cbmir.index.stamp import REMEDY, Stamp

__all__ = ["REMEDY", "Stamp", "read", "write"]


def write(path: Path, stamp: Stamp, index: ExactIndex) -> None:
    """Put an index in place of the file, whole or not at all; who has the old one mapped keeps it.

    Raises:
        cbmir.errors.DiskFull: if the disk has no room for it.
        cbmir.errors.Unavailable: if it cannot be written for another reason.
    """
    container.write(path, stamp, _arrays(index), scale=index.along.scale)


def read(path: Path, encoder_id: str) -> tuple[Stamp, ExactIndex]:
    """Map an index; its pages are read when they are first looked at, once for all processes.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, changed, of another format, or of another encoder.
    """
    found = container.opened(path, encoder_id)
    try:
        arrays = found.arrays()
        members = Cells(**{name: arrays[name] for name in Cells._fields})
        along = Axes(arrays["centre"], arrays["directions"], found.header["scale"])
        return found.stamp, ExactIndex(cells.read_only(members), along, arrays["by_id"], arrays["rows"])
    except (ValueError, KeyError, TypeError) as error:
        raise container.damaged(path) from error


def _arrays(index: ExactIndex) -> dict[str, npt.NDArray[Any]]:
    own = {
        "by_id": index.ids,
        "rows": index.rows,
        "centre": index.along.centre,
        "directions": index.along.directions,
    }
    return {name: np.ascontiguousarray(array) for name, array in {**index.cells._asdict(), **own}.items()}
