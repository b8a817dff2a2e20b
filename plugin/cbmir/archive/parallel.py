"""Several requests at one time, whose results come as they are ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import Queue
from threading import Condition, Event, Thread
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Thing], Iterable[Result]], things: deque[Thing], parallel: int
) -> Generator[Result, None, None]:
    """The results of `work` on each thing, `parallel` at one time; no more than twice as many wait to be taken.

    After an error nothing more is begun; it is raised once the results of what was running have been given.

    Args:
        work: may put more things into `things`, for every thread to take; its results are not taken any more once
            nobody waits for them.
        things: they are taken out.
        parallel: threads.
    """
    course = _Course(work, things, max(1, parallel))
    threads = [Thread(target=course.run, name="fetching", daemon=True) for _ in range(course.running)]
    for thread in threads:
        thread.start()
    try:
        yield from course.results()
    finally:
        course.left.set()
        for _ in course.results():
            pass  # who waits for a place in the queue is let go
        for thread in threads:
            thread.join()
    if course.failed:
        raise course.failed[0]


class _Course(Generic[Thing, Result]):
    """What the threads and who takes their results share."""

    def __init__(self, work: Callable[[Thing], Iterable[Result]], things: deque[Thing], parallel: int) -> None:
        self._work, self._things, self.running = work, things, parallel
        self._queue: Queue[tuple[Result] | None] = Queue(2 * parallel)
        self._changed, self._busy = Condition(), 0
        self.failed: list[BaseException] = []
        self.left = Event()

    def run(self) -> None:
        """Work on things until there are none and none can come, or one failed, or nobody waits."""
        try:
            while taken := self._taken():
                self._give(*taken)
                self._done()
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
            self.failed.append(error)
            self._done()
        finally:
            self._queue.put(None)

    def _taken(self) -> tuple[Thing] | None:
        """The next thing, as soon as there is one: who works may put in more."""
        with self._changed:
            self._changed.wait_for(lambda: self._things or not self._busy or self._is_over())
            if self._is_over() or not self._things:
                return None
            self._busy += 1
            return (self._things.popleft(),)

    def _done(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def _give(self, thing: Thing) -> None:
        for result in self._work(thing):
            self._queue.put((result,))
            if self._is_over():
                return

    def _is_over(self) -> bool:
        return bool(self.failed) or self.left.is_set()

    def results(self) -> Generator[Result, None, None]:
        """What comes, until every thread has ended."""
        while self.running:
            got = self._queue.get()
            if got is None:
                self.running -= 1
            else:
                yield got[0]
