"""Several terms of a filter in one text, joined by ` OR `; a value that has that in it itself stands in quotes.

`subclass="black OR white"` is one term, whose value has no quotes; a quote within it is doubled. Any other value is
taken as it stands, quotes included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

OR = " OR "
IN_QUOTES = re.compile(r'(?P<before>=\s*)"(?P<value>(?:[^"]|"")*)"(?=\s*$| OR )')
HIDDEN = "\0"
"""In place of a quoted value's blanks, while the terms are told apart; no value can have it."""


def choices(text: str) -> list[str]:
    """The terms of a text, without the quotes that keep a value whole."""
    hidden = IN_QUOTES.sub(_hide, text)
    return [each.strip().replace(HIDDEN, " ") for each in hidden.split(OR)]


def joined(terms: Iterable[str]) -> str:
    """Terms as one text, of which `choices` makes them again."""
    return OR.join(map(quoted, terms))


def quoted(term: str) -> str:
    """A term, its value in quotes if it could be taken for several."""
    name, equals, value = term.partition("=")
    if OR not in f"{value} ":
        return term
    doubled = value.replace('"', '""')
    return f'{name}{equals}"{doubled}"'


def _hide(found: re.Match[str]) -> str:
    if OR not in f"{found['value']} ":
        return found.group()
    return found["before"] + found["value"].replace('""', '"').replace(" ", HIDDEN)
