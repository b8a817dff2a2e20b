"""What is nested too deep is refused before a parser sees it; brackets within texts are none."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from cbmir.store.nesting import DEEPEST, Shallow, TooDeep

PIECES = (1, 2, 3, 7, 10_000)
BRACKETS = "[{" * DEEPEST

FLAT: list[Any] = [
    {"a": BRACKETS, BRACKETS: ["b"]},
    [f'\\{BRACKETS}"{BRACKETS}\\', f'"{BRACKETS}', "\\\\", BRACKETS],
    [[{}, []]] * (2 * DEEPEST),
]


def nested(levels: int) -> str:
    return '{"a": ' * (levels // 2) + "[" * (levels - levels // 2)


def read(text: str, size: int) -> bytes:
    stream, found = Shallow(BytesIO(text.encode())), b""
    while piece := stream.read(size):
        found += piece
    return found


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize("text", [*map(json.dumps, FLAT), nested(DEEPEST), ""], ids=range(len(FLAT) + 2))
def test_what_is_flat_is_passed_on(text: str, size: int) -> None:
    assert read(text, size) == text.encode()


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize("before", ["", '["\\"", "\\\\"], ', f"{json.dumps(BRACKETS)}, "])
def test_what_is_too_deep_is_not(before: str, size: int) -> None:
    with pytest.raises(TooDeep):
        read(before + nested(DEEPEST + 1), size)
