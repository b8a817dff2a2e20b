"""Items made in a thread of its own, ahead of who asks for them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
