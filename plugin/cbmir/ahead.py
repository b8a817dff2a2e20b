"""Work that is done ahead of whoever takes its results, in threads of its own; they come in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, Queue
from threading import Condition, Thread
from typing import Generic, TypeVar

PATIENCE_SECONDS = 0.25
"""How long a batch waits for more once its first result is there."""

Given = TypeVar("Given")
Made = TypeVar("Made")


def made_ahead(items: Iterator[Made]) -> Generator[Made]:
    """What an iterator gives, whose next item is made in another thread while the last one is used.

    It is to be closed by who does not take all: whatever the iterator uses is in use until then.

    Args:
        items: none of them None.

    Raises:
        Exception: whatever the iterator raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def in_batches(
    work: Callable[[Given], Made],
    things: Iterable[Given],
    *,
    threads: int,
    most: int,
    size: Callable[[Given], int] = lambda _: 0,
    most_size: float = float("inf"),
) -> Generator[list[Made]]:
    """`work` on each thing, in order.

    The things are taken in a thread of their own, so that those that are still to come - from an archive, say - do
    not wait until the results are dealt with; a bounded number, of a bounded size, is taken ahead.

    Args:
        work: done in `threads` threads.
        things: taken one by one; a generator is closed when no more are.
        threads: how many things are worked on at once.
        most: results in one batch, at most; about twice as many things are taken ahead.
        size: of a thing, such as the bytes that it takes on disk until its result is dealt with.
        most_size: once those that are taken are so large together, no further one is.

    Raises:
        whatever `work` or taking the things raises, after all results before it.
    """
    course = _Course[Made](2 * most, most_size)
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        feeder = Thread(target=course.feed, args=(pool, work, things, size), name="feeder", daemon=True)
        feeder.start()
        try:
            while batch := course.batch(most):
                yield batch
                course.dealt_with(len(batch))
        finally:
            course.leave()
            feeder.join()


class _Course(Generic[Made]):
    """What the feeding thread and the taking one share: a queue, in order, that ends with None."""

    def __init__(self, most_ahead: int, most_size: float) -> None:
        self._queue: Queue[Future[Made] | None] = Queue(most_ahead)
        self._next: Future[Made] | None = None
        self._ended, self._left = False, False
        self._changed, self._sizes, self._most_size = Condition(), deque[int](), most_size

    def feed(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[Given], Made],
        things: Iterable[Given],
        size: Callable[[Given], int],
    ) -> None:
        """Have every thing worked on, until nobody waits any more."""
        try:
            for each in things:
                if self._left:
                    break
                self._sizes.append(size(each))
                self._queue.put(pool.submit(work, each))
                self._wait_for_room()
            if isinstance(things, Generator):
                things.close()
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            failed = Future[Made]()
            failed.set_exception(error)
            self._queue.put(failed)
        finally:
            self._queue.put(None)

    def _wait_for_room(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: sum(self._sizes) < self._most_size or self._left)

    def dealt_with(self, count: int) -> None:
        """The first so many things make room for others."""
        with self._changed:
            for _ in range(count):
                self._sizes.popleft()
            self._changed.notify()

    def batch(self, most: int) -> list[Made]:
        """The next results: the first as soon as it is there, and those that follow shortly; [] at the end."""
        batch: list[Made] = []
        until: float | None = None
        while len(batch) < most and (future := self._done(until)):
            if batch and future.exception():
                break  # raised when its turn comes, after those before it are dealt with
            batch.append(future.result())
            self._next = None
            until = until or time.monotonic() + PATIENCE_SECONDS
        return batch

    def _done(self, until: float | None) -> Future[Made] | None:
        """The next result; None if it takes too long, or there are no more."""
        if self._next is None and not self._ended:
            try:
                self._next = self._queue.get(timeout=_rest(until))
            except Empty:
                return None
            self._ended = self._next is None
        if self._next is None or not wait([self._next], _rest(until)).done:
            return None
        return self._next

    def leave(self) -> None:
        """Let the feeder end."""
        with self._changed:
            self._left = True
            self._changed.notify()
        while not self._ended:
            future = self._queue.get()
            self._ended = future is None
            if future:
                future.cancel()


def _rest(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())
