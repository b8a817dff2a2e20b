"""Values that name several labels."""

from __future__ import annotations

import pytest

from cbmir.labels import answers_to, split, tidied


@pytest.mark.parametrize(
    ("value", "labels"),
    [("a", ["a"]), ("b | a|b", ["b", "a"]), ("a||", ["a"]), ("|", ["|"]), ("", [""]), (" a b ", ["a b"])],
)
def test_a_value_names_its_labels(value: str, labels: list[str]) -> None:
    assert split(value) == labels


@pytest.mark.parametrize(
    ("value", "kept"),
    [("a", "a"), (" b |\ta||b ", "b|a"), ("brain\r\nglioma", "brain glioma"), (" | ", "|"), (" \n ", "")],
)
def test_a_value_is_kept_tidy(value: str, kept: str) -> None:
    assert tidied(value) == kept
    assert tidied(kept) == kept


@pytest.mark.parametrize(("kept", "texts"), [("a", ("a",)), ("b|a", ("b", "a", "b|a")), ("|", ("|",))])
def test_a_value_is_found_by_each_of_its_labels_and_as_a_whole(kept: str, texts: tuple[str, ...]) -> None:
    assert answers_to(kept) == texts
