"""What is made in other threads is what would be made here, errors too, and no more than is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from threading import Event, Timer, current_thread, get_ident

import pytest

from cbmir.ahead import made_ahead, worked_ahead
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


def test_work_is_given_in_order_though_a_later_piece_is_done_first() -> None:
    later_done = Event()

    def work(number: int) -> int:
        if number:
            later_done.set()
        else:
            assert later_done.wait(10)
        return number

    assert list(worked_ahead(work, range(9), 2, 3)) == list(range(9))
    assert list(worked_ahead(work, (), 2, 3)) == []


def test_no_more_things_are_taken_than_may_be_begun() -> None:
    taken = count()

    def without_end() -> Iterator[int]:
        while True:
            yield next(taken)

    with closing(worked_ahead(str, without_end(), 2, 4)) as results:
        assert [next(results) for _ in range(100)] == [str(number) for number in range(100)]
    assert next(taken) <= 100 + 4


def test_work_that_fails_does_so_in_its_turn() -> None:
    results = worked_ahead(lambda number: 1 // number, (1, 0, 1), 2, 3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_is_not_begun_when_nobody_waits_is_not_done() -> None:
    blocked, done = Event(), []

    def work(number: int) -> None:
        if number:
            blocked.wait(10)
            done.append(number)

    with closing(worked_ahead(work, range(9), 1, 9)) as results:
        next(results)
        Timer(0.3, blocked.set).start()
    assert len(done) <= 1, "only the one that was at work"
