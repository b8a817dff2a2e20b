"""Values that name several labels."""

from __future__ import annotations

import numpy as np

from cbmir.evaluation.labels import LabelSets


def test_two_values_share_what_both_name() -> None:
    sets = LabelSets.of(["a", "a|b", "b", "c"])
    assert sets.names == ["a", "b", "c"]
    assert sets.sharing(1).tolist() == [True, True, True, False]
    assert sets.shared(np.array([0, 3]), np.array([[1, 2], [3, 1]])).tolist() == [[True, False], [True, False]]


def test_relevant_and_holders_are_counted() -> None:
    sets, gallery = LabelSets.of(["a", "a|b", "b", "c"]), np.array([0, 0, 1, 2])
    assert sets.relevant(np.array([3, 0, 1, 0]), gallery).tolist() == [0, 3, 4, 3]
    assert sets.relevant(np.zeros(0, np.int64), gallery).tolist() == []
    assert sets.holders(gallery).tolist() == [3, 2, 0]
