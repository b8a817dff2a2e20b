"""Several requests at one time, whose results come as they are ready."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Thing], Result], things: Iterable[Thing], parallel: int
) -> Generator[Result, None, None]:
    """`work` on each thing, `parallel` at one time; no more than twice as many results wait to be taken.

    After an error nothing more is begun; it is raised once the results of what was running have been given.
    """
    rest = iter(things)
    with ThreadPoolExecutor(max(1, parallel)) as pool:
        running = {pool.submit(work, each) for each in islice(rest, parallel)}
        failed: BaseException | None = None
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            failed = failed or next(filter(None, (each.exception() for each in done)), None)
            if not failed:
                running |= {pool.submit(work, each) for each in islice(rest, len(done))}
            yield from (each.result() for each in done if not each.exception())
        if failed:
            raise failed
