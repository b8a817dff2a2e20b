"""An iterator in a process of its own gives what it would give here, errors too, and ends with who wants it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cbmir.ahead import made_ahead
from cbmir.errors import CbmirError, NotFound


def squares(count: int) -> Iterator[int]:
    """The first squares."""
    yield from (number * number for number in range(count))


def one_and_an_error() -> Iterator[int]:
    """One, and no more."""
    yield 1
    raise NotFound("There is no second.", "Ask for one.")


def own_id_and_death() -> Iterator[int]:
    """The process's id, and then it is killed."""
    yield os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)


def ids_written_down(file: Path) -> Iterator[bytes]:
    """Without end, each larger than a pipe holds; the file tells how many were made."""
    while True:
        with file.open("a") as out:
            out.write(f"{os.getpid()}\n")
        yield bytes(1_000_000)


def alive(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_items_come_in_order_from_another_process() -> None:
    assert list(made_ahead(squares, 5)) == [0, 1, 4, 9, 16]
    assert list(made_ahead(squares, 0)) == []


def test_what_it_raises_is_raised_after_what_it_gave() -> None:
    items = made_ahead(one_and_an_error)
    assert next(items) == 1
    with pytest.raises(NotFound, match="There is no second") as raised:
        next(items)
    assert raised.value.remedy == "Ask for one."


def test_a_process_that_is_killed_is_no_end() -> None:
    items = made_ahead(own_id_and_death)
    assert next(items) != os.getpid()
    with pytest.raises(CbmirError, match="before its time"):
        next(items)


def test_who_wants_no_more_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "made"
    items = made_ahead(ids_written_down, file)
    next(items)
    time.sleep(0.5)
    made = file.read_text().split()
    assert len(made) <= 3, "it waits until what it made is taken"
    items.close()
    assert not alive(int(made[0]))
