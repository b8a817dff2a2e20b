"""Labels of an image as sets (`cbmir.labels`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbmir.labels import split

CodeArray = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelSets:
    """What each code, the number of a label's value, stands for.

    Attributes:
        names: of the c labels, in alphabetical order.
        members: bool (u, c): whether the value of code u names label c; every code names at least one.
    """

    names: list[str]
    members: Bools

    @classmethod
    def of(cls, values: Sequence[str]) -> LabelSets:
        """The sets that these values name; a code is a value's place."""
        parts = [split(value) for value in values]
        names = sorted({name for part in parts for name in part})
        places = {name: place for place, name in enumerate(names)}
        members = np.zeros((len(values), len(names)), np.bool_)
        for code, part in enumerate(parts):
            members[code, [places[name] for name in part]] = True
        return cls(names, members)

    def sharing(self, code: int) -> Bools:
        """Whether each code has a label in common with this one: bool (u,)."""
        return np.asarray(self.members[:, self.members[code]].any(axis=1))

    def shared(self, wanted: CodeArray, retrieved: CodeArray) -> Bools:
        """Whether each retrieved has a label in common with its query: (q,) and (q, m) give bool (q, m)."""
        hits = np.empty(retrieved.shape, np.bool_)
        for code in np.unique(wanted).tolist():
            rows = wanted == code
            hits[rows] = self.sharing(code)[retrieved[rows]]
        return hits

    def relevant(self, wanted: CodeArray, gallery: CodeArray) -> CodeArray:
        """How many of the gallery, int64 (n,), have a label in common with each query, (q,): int64 (q,)."""
        counts = np.bincount(gallery, minlength=len(self.members))
        codes, places = np.unique(wanted, return_inverse=True)
        found = np.array([counts[self.sharing(code)].sum() for code in codes.tolist()], np.int64)
        return found[places] if len(codes) else np.zeros(0, np.int64)

    def holders(self, gallery: CodeArray) -> CodeArray:
        """How many of the gallery, int64 (n,), have each label: int64 (c,)."""
        held: CodeArray = np.bincount(gallery, minlength=len(self.members)) @ self.members
        return held
