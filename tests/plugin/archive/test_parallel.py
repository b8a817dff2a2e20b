"""Several requests at one time: all threads have work as long as there is any, and end when there is none."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from threading import Barrier
from threading import enumerate as running

import pytest

from cbmir.archive.parallel import in_parallel

WAIT_SECONDS = 30.0
THREADS = 4


def test_what_is_put_in_meanwhile_is_taken_by_every_thread() -> None:
    things, together = deque([-1]), Barrier(THREADS)

    def work(thing: int) -> Iterator[int]:
        if thing < 0:
            time.sleep(0.2)  # the other threads find nothing
            things.extend(range(3 * THREADS))
        else:
            together.wait(WAIT_SECONDS)  # broken unless all threads come
        yield thing

    assert sorted(in_parallel(work, things, THREADS)) == list(range(-1, 3 * THREADS))


def test_after_an_error_nothing_is_begun_and_nobody_waits_for_more() -> None:
    things, begun = deque(range(100)), list[int]()

    def work(thing: int) -> Iterator[int]:
        begun.append(thing)
        time.sleep(0.01)
        if thing == 5:
            raise OSError("lost")
        yield thing

    came = []
    with pytest.raises(OSError, match="lost"):
        came.extend(in_parallel(work, things, THREADS))
    assert len(begun) < 5 + 4 * THREADS
    assert fetching() == 0


def test_who_takes_no_more_leaves_no_thread() -> None:
    with closing(in_parallel(lambda thing: [thing] * 10, deque(range(100)), THREADS)) as coming:
        next(coming)
    assert fetching() == 0


def fetching() -> int:
    return sum(each.name == "fetching" for each in running())
