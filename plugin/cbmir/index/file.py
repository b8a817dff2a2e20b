"""An exact index in one file; see `cbmir.index.container`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from cbmir.errors import BrokenFile
from cbmir.index import cells, container
from cbmir.index.axes import Axes
from cbmir.index.cells import Cells
from cbmir.index.container import Arrays, Container, Kind
from cbmir.index.exact import ExactIndex
from cbmir.index.stamp import REMEDY, Stamp

KIND = Kind("cbmir-index", 2, "index file", REMEDY)


def write(path: Path, stamp: Stamp, index: ExactIndex) -> None:
    """Put an index in place of the file; see `cbmir.index.container.write`, also for what it raises."""
    container.write(path, KIND, {"stamp": asdict(stamp), "scale": index.along.scale}, _arrays(index))


def read(path: Path, encoder_id: str) -> tuple[Stamp, ExactIndex]:
    """Map an index.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, changed, of another format, or of another encoder.
    """
    found = container.read(path, KIND)
    with sound(path):
        return stamp_of(found, path, encoder_id), _index(found)


def read_stamp(path: Path, encoder_id: str) -> Stamp:
    """What a file says that it was made from; its arrays are not looked at.

    Raises:
        as `read`.
    """
    found = container.read(path, KIND)
    with sound(path):
        return stamp_of(found, path, encoder_id)


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Errors of what stands in a file's header or arrays leave the block as a file that is damaged."""
    try:
        yield
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # the last is what FAISS raises
        raise BrokenFile(f"The index file {path.name} is damaged.", REMEDY) from error


def stamp_of(found: Container, path: Path, encoder_id: str) -> Stamp:
    """What a mapped file was made from.

    Raises:
        cbmir.errors.BrokenFile: if it is of another encoder.
        ValueError, KeyError, TypeError: if it does not say.
    """
    stamp = Stamp.from_json(found.told["stamp"])
    if stamp.encoder_id != encoder_id:
        raise BrokenFile(f"The index file {path.name} is of another encoder.", REMEDY)
    return stamp


def _arrays(index: ExactIndex) -> Arrays:
    own = {
        "by_id": index.ids,
        "rows": index.rows,
        "centre": index.along.centre,
        "directions": index.along.directions,
    }
    return {**index.cells._asdict(), **own}


def _index(found: Container) -> ExactIndex:
    arrays = found.arrays()
    members = Cells(**{name: arrays[name] for name in Cells._fields})
    along = Axes(arrays["centre"], arrays["directions"], found.told["scale"])
    return ExactIndex(cells.read_only(members), along, arrays["by_id"], arrays["rows"])
