"""What is made in other threads is what would be made here, in order, errors too, and no more than is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from threading import Event, Timer, current_thread, get_ident
from threading import enumerate as threads

import pytest

from cbmir.ahead import in_batches, made_ahead
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


def test_results_come_in_order_and_in_full_batches_when_they_are_there() -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.03 if number == 0 else 0)
        return number

    batches = [*in_batches(slow_at_first, range(10), threads=4, most=4)]
    assert [each for batch in batches for each in batch] == [*range(10)]
    assert len(batches[0]) == 4


def test_a_result_does_not_wait_for_things_that_are_still_to_come() -> None:
    go_on = Event()

    def things() -> Iterator[int]:
        yield 1
        assert go_on.wait(10)
        yield 2

    with closing(in_batches(lambda number: number, things(), threads=2, most=4)) as batches:
        assert next(batches) == [1]
        go_on.set()
        assert [*batches] == [[2]]


def test_things_are_taken_while_results_are_dealt_with_but_not_all() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with closing(in_batches(lambda number: number, things(), threads=2, most=4)) as batches:
        next(batches)
        deadline = time.monotonic() + 10
        while len(taken) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 8 <= len(taken) <= 20


def test_no_more_is_taken_than_fits_until_some_is_dealt_with() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    seen: list[int] = []
    ahead = in_batches(lambda number: number, things(), threads=2, most=4, size=lambda _: 3, most_size=10)
    with closing(ahead) as batches:
        for batch in batches:
            time.sleep(0.01)
            assert len(taken) <= len(seen) + 4  # three are smaller than ten, four are not
            seen += batch
    assert seen == [*range(40)]


def test_who_leaves_a_course_that_waits_for_room_leaves_no_thread() -> None:
    ahead = in_batches(lambda number: number, iter(range(40)), threads=2, most=4, size=lambda _: 3, most_size=1)
    with closing(ahead) as batches:
        assert next(batches) == [0]
    assert not [each.name for each in threads() if each.name.startswith(("feeder", "ahead"))]


@pytest.mark.parametrize("failing", ["work", "things"])
def test_what_fails_is_raised_after_the_results_before_it(failing: str) -> None:
    def things() -> Iterator[int]:
        yield from range(5)
        if failing == "things":
            raise OSError("no more")
        yield 5

    def work(number: int) -> int:
        if failing == "work" and number == 5:
            raise OSError("not this one")
        return number

    seen: list[int] = []
    with pytest.raises(OSError, match="no"):  # noqa: PT012 - what came before is looked at
        for batch in in_batches(work, things(), threads=2, most=32):
            seen += batch
    assert seen == [*range(5)]


def test_what_is_not_begun_when_nobody_waits_is_not_done() -> None:
    blocked, done = Event(), []

    def work(number: int) -> None:
        if number:
            blocked.wait(10)
            done.append(number)

    with closing(in_batches(work, range(9), threads=1, most=9)) as batches:
        next(batches)
        Timer(0.3, blocked.set).start()
    assert len(done) <= 1, "only the one that was at work"


def test_who_leaves_leaves_no_thread_and_no_open_generator() -> None:
    closed = Event()

    def things() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    with closing(in_batches(lambda number: number, things(), threads=2, most=4)) as batches:
        next(batches)
    assert closed.is_set()
    assert not [each.name for each in threads() if each.name.startswith(("feeder", "ahead"))]
