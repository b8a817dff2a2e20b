"""Which members carry which term, as compressed bitmaps: what a filter is worked out from, without the database.

A term is a name and a value, such as `body_part` and `HEAD`; a member may carry several values of one name. The
bitmaps are Roaring bitmaps (Lemire et al., 2016), so AND, OR and NOT of a million members take microseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from pyroaring import BitMap64

from cbmir.errors import BrokenFile
from cbmir.index import container
from cbmir.index.container import Kind
from cbmir.index.stamp import REMEDY
from cbmir.types import IdArray

KIND = Kind("cbmir-terms", 2, "file of terms", REMEDY)
Told = tuple[int, str, str]
"""The id of a member, and the name and the value of a term that it carries."""


@dataclass(frozen=True)
class Terms:
    """The terms of members; a change makes another one, so who reads meanwhile is not disturbed.

    Attributes:
        members: the ids of all, also of those that carry none.
        holders: by name and value, who carries it.
    """

    members: BitMap64
    holders: Mapping[str, Mapping[str, BitMap64]]

    def having(self, name: str, value: str) -> BitMap64:
        """Who carries this very term."""
        return self.holders.get(name, {}).get(value, BitMap64())

    def among(self, name: str, test: Callable[[str], bool]) -> BitMap64:
        """Who carries a value of this name that passes a test."""
        passed = [held for value, held in self.holders.get(name, {}).items() if test(value)]
        return BitMap64.union(*passed) if passed else BitMap64()

    def changed(self, gone: IdArray, come: IdArray, told: Iterable[Told]) -> Terms:
        """The terms after some have gone and then others have come, which may be the same again.

        Args:
            gone: int64; who is no member is passed over.
            come: int64 (n,).
            told: the terms of those that came.
        """
        left = bitmap(gone)
        new: dict[tuple[str, str], list[int]] = defaultdict(list)
        for id, name, value in told:
            new[name, value].append(id)
        holders: dict[str, dict[str, BitMap64]] = defaultdict(dict)
        for name, value, held in self.each():
            if stayed := held - left:
                holders[name][value] = stayed
        for (name, value), ids in new.items():
            holders[name][value] = holders[name].get(value, BitMap64()) | bitmap(np.array(ids, np.int64))
        return Terms((self.members - left) | bitmap(come), dict(holders))

    def each(self) -> Iterator[tuple[str, str, BitMap64]]:
        """Name and value of every term, and who carries it."""
        return ((name, value, held) for name, values in self.holders.items() for value, held in values.items())


NONE = Terms(BitMap64(), {})
"""Of no members."""


def bitmap(ids: IdArray) -> BitMap64:
    """Ids, int64 (n,), none below 0, as a set."""
    return BitMap64(np.ascontiguousarray(ids).astype(np.uint64))


def ids_of(held: BitMap64) -> IdArray:
    """A set as ids: int64 (n,), ascending."""
    return np.frombuffer(held.to_array(), np.uint64).astype(np.int64)


def write(path: Path, encoder_id: str, generation: int, terms: Terms) -> None:
    """Put the terms in place of the file, stamped; see `cbmir.index.container.write`, also for what it raises."""
    stored = [terms.members.serialize(), *(held.serialize() for _, _, held in terms.each())]
    names = orjson.dumps([(name, value) for name, value, _ in terms.each()])
    arrays: dict[str, npt.NDArray[Any]] = {
        "names": np.frombuffer(names, np.uint8),
        "lengths": np.array([len(each) for each in stored], np.int64),
        "bitmaps": np.frombuffer(b"".join(stored), np.uint8),
    }
    container.write(path, KIND, {"encoder_id": encoder_id, "generation": generation}, arrays)


def read(path: Path, encoder_id: str) -> tuple[int, Terms]:
    """The generation of the encoder's features whose members a file holds, and their terms.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BrokenFile: if it is cut short, changed, of another format, or of another encoder.
    """
    found = container.read(path, KIND)
    try:
        if found.told["encoder_id"] != encoder_id:
            raise BrokenFile(f"The file of terms {path.name} is of another encoder.", REMEDY)
        return found.told["generation"], _terms(found.arrays())
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFile(f"The file of terms {path.name} is damaged.", REMEDY) from error


def _terms(arrays: Mapping[str, npt.NDArray[Any]]) -> Terms:
    ends = np.cumsum(arrays["lengths"]).tolist()
    whole = arrays["bitmaps"].tobytes()
    members, *stored = (
        BitMap64.deserialize(whole[start:end]) for start, end in zip([0, *ends], ends, strict=False)
    )
    holders: dict[str, dict[str, BitMap64]] = defaultdict(dict)
    for (name, value), held in zip(orjson.loads(arrays["names"].tobytes()), stored, strict=True):
        holders[name][value] = held
    return Terms(members, dict(holders))
