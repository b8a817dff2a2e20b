"""An exact index in one file; see `cbmir.index.container`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cbmir.errors import BrokenFile
from cbmir.index import cells, container
from cbmir.index.axes import Axes
from cbmir.index.cells import Cells
from cbmir.index.container import Arrays, Container, Kind
from cbmir.index.exact import ExactIndex

REMEDY = "Build it anew: `cbmir index build`."
KIND = Kind("cbmir-index", 2, "index file", REMEDY)


@dataclass(frozen=True)
class Stamp:
    """What a file was made from.

    Attributes:
        encoder_id: whose features.
        generation: theirs; the file holds those of all generations up to this one.
        pipelines: the conversions that made their pictures.
    """

    encoder_id: str
    generation: int
    pipelines: tuple[str, ...]


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
    try:
        return _stamp(found, path, encoder_id), _index(found)
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFile(f"The index file {path.name} is damaged.", REMEDY) from error


def read_stamp(path: Path, encoder_id: str) -> Stamp:
    """What a file says that it was made from; its arrays are not looked at.

    Raises:
        as `read`.
    """
    try:
        return _stamp(container.read(path, KIND), path, encoder_id)
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFile(f"The index file {path.name} is damaged.", REMEDY) from error


def _stamp(found: Container, path: Path, encoder_id: str) -> Stamp:
    told: dict[str, Any] = found.told["stamp"]
    if told["encoder_id"] != encoder_id:
        raise BrokenFile(f"The index file {path.name} is of another encoder.", REMEDY)
    return Stamp(told["encoder_id"], told["generation"], tuple(told["pipelines"]))


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
