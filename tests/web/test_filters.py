"""When the values to filter by are counted again."""

from __future__ import annotations

import pytest

from cbmir.services.retrieval.library import Facets
from cbmir_web.pages.filters import Counted, kept

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


OFFERED = Facets(
    labels={"modality": [("mri", 2)], "subclass": [("brain", 1), ("hand", 1)], "size>": [("5", 1)]},
    body_parts=[("HEAD", 1)],
    dates=True,
)


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (["modality=mri", "subclass=hand", "body_part=HEAD", "study_date>=2024-01-31"], []),
        (["size> =5"], []),
        (["modality=MR", "archive=pacs"], ["modality=MR", "archive=pacs"]),
        (["subclass=brain", "size> =5"], ["size> =5"]),
        (
            ["subclass!=brain", "subclass=brain OR subclass=hand"],
            ["subclass!=brain", "subclass=brain OR subclass=hand"],
        ),
    ],
)
def test_terms_that_no_field_shows_are_kept(wanted: list[str], left: list[str]) -> None:
    assert kept(OFFERED, wanted) == left


def test_without_dates_a_day_is_kept_too() -> None:
    assert kept(Facets(), ["study_date<=2024-01-31"]) == ["study_date<=2024-01-31"]
