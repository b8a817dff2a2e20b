"""When the values to filter by are counted again."""

from __future__ import annotations

import pytest

from cbmir.services.retrieval.library import Facets
from cbmir_web.pages.filters import Counted

SAME, OTHER = (5, 9), (6, 9)


@pytest.mark.parametrize(
    ("took", "stamp", "later", "serves"),
    [
        (0.01, SAME, 59, True),
        (0.01, SAME, 61, False),
        (0.01, OTHER, 0.1, False),
        (2.0, OTHER, 99, True),
        (2.0, OTHER, 101, False),
        (2.0, SAME, 99, True),
        (0.5, OTHER, 26, False),
        (0.5, SAME, 59, True),
    ],
)
def test_what_takes_long_to_count_rests(took: float, stamp: tuple[int, int], later: float, serves: bool) -> None:
    assert Counted(SAME, 1000.0, took, Facets()).serves(stamp, 1000.0 + later) is serves
