"""What a label's value says: one value may name several labels, `effusion|cardiomegaly`."""

from __future__ import annotations

SEPARATOR = "|"
"""Between the labels of one value, as in the lists of ChestX-ray14 (Wang et al., CVPR 2017)."""


def split(value: str) -> list[str]:
    """The labels that a value names, each once: `b | a|b` names b and a; one of separators alone names itself."""
    parts = dict.fromkeys(part.strip() for part in value.split(SEPARATOR))
    return [part for part in parts if part] or [value]


def tidied(value: str) -> str:
    """A value as it is kept: line breaks and runs of blanks are a blank, `b | a|b` is `b|a`."""
    return SEPARATOR.join(split(" ".join(value.split())))


def answers_to(value: str) -> list[str]:
    """What a filter finds a kept value by: each label that it names, and the whole of it."""
    return [value] if SEPARATOR not in value else list(dict.fromkeys((*split(value), value)))
