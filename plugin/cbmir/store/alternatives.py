"""Several terms of a filter in one text, joined by ` OR `; a name or a value that has that in it stands in quotes.

`subclass="black OR white"` is one term, whose value has no quotes; a quote within it is doubled. So is
`"read OR reported"=yes`. Any other name or value is taken as it stands, quotes included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

OR = " OR "
QUOTES = r'"(?P<whole>(?:[^"]|"")*)"'
NAME = re.compile(rf"(?P<before>^\s*| OR \s*){QUOTES}(?=\s*[!<>]?=)")
VALUE = re.compile(rf"(?P<before>=\s*){QUOTES}(?=\s*$| OR )")
COMPARISON = re.compile(r"(?P<name>.*?)(?P<comparison>\s*[!<>]?=\s*)(?P<value>.*)", re.DOTALL)
HIDDEN = "\0"
"""In place of the blanks within quotes, while the terms are told apart; no name and no value can have it."""


def choices(text: str) -> list[str]:
    """The terms of a text, without the quotes that keep a name or a value whole."""
    hidden = VALUE.sub(_hide, NAME.sub(_hide, text))
    return [each.strip().replace(HIDDEN, " ") for each in hidden.split(OR)]


def joined(terms: Iterable[str]) -> str:
    """Terms as one text, of which `choices` makes them again."""
    return OR.join(map(quoted, terms))


def quoted(term: str) -> str:
    """A term, its name or its value in quotes if it could be taken for several."""
    found = COMPARISON.fullmatch(term)
    return f"{_whole(found['name'])}{found['comparison']}{_whole(found['value'])}" if found else term


def _whole(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if OR in f"{text} " else text


def _hide(found: re.Match[str]) -> str:
    if OR not in f"{found['whole']} ":
        return found.group()
    return found["before"] + found["whole"].replace('""', '"').replace(" ", HIDDEN)
