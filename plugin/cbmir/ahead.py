"""Items made in threads of their own, ahead of who asks for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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


def worked_ahead(
    work: Callable[[Given], Made], things: Iterable[Given], threads: int, most: int
) -> Generator[Made]:
    """`work` on each thing, in order. Things are taken as their turn comes, however many there are.

    Args:
        work: done in so many `threads`.
        things: taken one by one.
        threads: how many things are worked on at once.
        most: how many are taken ahead of the one whose result is next.

    Raises:
        Exception: whatever `work` raises, in its turn, or taking the things does.
    """
    begun = deque[Future[Made]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for each in things:
                begun.append(pool.submit(work, each))
                while begun and (len(begun) == most or begun[0].done()):
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
