"""What a label's value says: one value may name several labels, `effusion|cardiomegaly`."""

from __future__ import annotations

from functools import lru_cache

SEPARATOR = "|"
"""Between the labels of one value, as in the lists of ChestX-ray14 (Wang et al., CVPR 2017)."""


def split(value: str) -> list[str]:
    """The labels that a value names, each once: `b | a|b` names b and a; one of separators alone names itself."""
    parts = dict.fromkeys(part.strip() for part in value.split(SEPARATOR))
    return [part for part in parts if part] or [value]


def tidied(value: str) -> str:
    """A value as it is kept: line breaks and runs of blanks are a blank, `b | a|b` is `b|a`."""
    return SEPARATOR.join(split(" ".join(value.split())))


@lru_cache(4096)
def answers_to(value: str) -> tuple[str, ...]:
    """What a filter finds a kept value by: each label that it names, and the whole of it."""
    return tuple(dict.fromkeys((*split(value), value)))
