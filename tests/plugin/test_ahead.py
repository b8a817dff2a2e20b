"""An iterator in a thread of its own gives what it would give here, errors too, and no more than is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Event, current_thread, get_ident

import pytest

from cbmir.ahead import made_ahead
from cbmir.errors import NotFound


def one_and_an_error() -> Iterator[int]:
    """One, and no more."""
    yield 1
    raise NotFound("There is no second.", "Ask for one.")


def test_items_come_in_order_from_another_thread() -> None:
    assert list(made_ahead(number * number for number in range(5))) == [0, 1, 4, 9, 16]
    assert not list(made_ahead(iter(())))
    assert get_ident() not in set(made_ahead(get_ident() for _ in range(3)))


def test_the_next_is_made_while_one_is_used() -> None:
    second_made = Event()

    def two() -> Iterator[str]:
        yield "first"
        second_made.set()
        yield "second"

    with closing(made_ahead(two())) as items:
        assert next(items) == "first"
        assert second_made.wait(10)
        assert next(items) == "second"


def test_what_it_raises_is_raised_after_what_it_gave() -> None:
    items = made_ahead(one_and_an_error())
    assert next(items) == 1
    with pytest.raises(NotFound, match="There is no second"):
        next(items)


def test_who_wants_no_more_ends_it() -> None:
    threads, made = set(), []

    def without_end() -> Iterator[int]:
        threads.add(current_thread())
        for number in iter(int, 1):
            made.append(number)
            yield number

    with closing(made_ahead(without_end())) as items:
        next(items)
    assert len(made) <= 2, "it waits until what it made is taken"
    assert not any(thread.is_alive() for thread in threads)
