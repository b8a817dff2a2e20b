"""Work on foreign files in processes of its own."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cbmir.dicom import budget
from cbmir.errors import BrokenFile, Undecodable
from cbmir.services.conversion import isolation
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.conversion.keep import keep
from cbmir.settings import Settings


def test_a_crash_is_the_files_own_and_the_next_one_is_converted() -> None:
    with Isolation(1) as apart:
        with pytest.raises(Undecodable, match=r"x\.dcm made its decoder crash"):
            apart.run("x.dcm", 0, signal.raise_signal, signal.SIGSEGV)  # a decoder that writes where it must not
        assert apart.run("y.dcm", 0, os.getpid) != os.getpid()


def test_a_process_killed_while_it_is_idle_is_replaced() -> None:
    with Isolation(1) as apart:
        idle = apart.run("x.dcm", 0, os.getpid)
        os.kill(idle, signal.SIGKILL)
        assert apart.run("y.dcm", 0, os.getpid) not in (idle, os.getpid())
        time.sleep(1)  # the pool has seen it by now, whichever was first
        assert apart.run("z.dcm", 0, os.getpid) != os.getpid()


def test_processes_are_started_again_though_what_starts_them_was_killed() -> None:
    with Isolation(1) as apart:
        os.kill(apart.run("x.dcm", 0, os.getppid), signal.SIGKILL)
        os.kill(apart.run("y.dcm", 0, os.getpid), signal.SIGKILL)
        time.sleep(1)
        assert apart.run("z.dcm", 0, os.getpid) != os.getpid()


def test_work_is_begun_again_where_its_process_was_killed(tmp_path: Path) -> None:
    with Isolation(1) as apart:
        assert apart.run("x.dcm", 0, killed_once, tmp_path / "begun") == "done"
        with pytest.raises(Undecodable, match=r"y\.dcm was ended 3 times from outside"):
            apart.run("y.dcm", 0, signal.raise_signal, signal.SIGKILL)


def killed_once(note: Path) -> str:
    if not note.exists():
        note.touch()
        signal.raise_signal(signal.SIGKILL)
    return "done"


def test_what_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SECONDS", 0.5)
    began = time.monotonic()
    with Isolation(1) as apart, pytest.raises(Undecodable, match=r"x\.dcm took more than"):
        apart.run("x.dcm", 0, time.sleep, 60)
    assert time.monotonic() - began < 30


def test_a_frame_has_a_budget_that_ends_with_it() -> None:
    with Isolation(1) as apart:
        within, behind = apart.run("x.dcm", 0, left_of_a_budget)
    assert budget.SECONDS < within < budget.SECONDS + 2
    assert budget.OBJECT_SECONDS - 2 < behind < budget.OBJECT_SECONDS + 0.1  # what the object has left
    with budget.budget(0):
        assert signal.getitimer(signal.ITIMER_PROF)[0] == 0  # nothing ends this process


def test_an_object_has_a_budget_however_many_frames_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SECONDS", 3600.0)  # the processor's time counts, however busy the machine is
    with Isolation(1) as apart:
        with pytest.raises(Undecodable, match=r"x\.dcm kept its decoder computing .* or 10 seconds in all"):
            apart.run("x.dcm", 9_000_000, many_frames, 0.3)
        assert apart.run("y.dcm", 0, os.getpid) != os.getpid()


def many_frames(left: float) -> None:
    """Each is within its own budget, all together are not within what their object has left."""
    signal.setitimer(signal.ITIMER_PROF, left)
    while True:
        with budget.budget(0):
            until = time.process_time() + 0.05
            while time.process_time() < until:
                pass


@pytest.mark.parametrize(("size", "seconds"), [(0, 10), (10_000_000, 10), (100_000_000, 100)])
def test_a_large_object_has_more_time(size: int, seconds: float) -> None:
    assert budget.seconds_of_object(size) == seconds


def left_of_a_budget() -> tuple[float, float]:
    """Seconds that are left within, and behind it."""
    with budget.budget(budget.SAMPLES_PER_SECOND):
        within = signal.getitimer(signal.ITIMER_PROF)[0]
    return within, signal.getitimer(signal.ITIMER_PROF)[0]


def test_errors_come_back_as_they_are(settings: Settings) -> None:
    with Isolation(1) as apart:
        with pytest.raises(BrokenFile, match=r"x\.dcm is empty") as caught:
            apart.run("x.dcm", 0, keep, b"", "x.dcm", settings, "0" * 64)
        assert caught.value.remedy
        with pytest.raises(Undecodable, match="more memory"):
            apart.run("x.dcm", 0, bytes, 10**15)


def test_threads_share_the_processes() -> None:
    with Isolation(2) as apart, ThreadPoolExecutor(6) as threads:
        done = list(threads.map(lambda number: apart.run("x", 0, divmod, number, 7), range(20)))
    assert done == [divmod(number, 7) for number in range(20)]


def test_no_process_is_started_before_there_is_work_and_none_stays() -> None:
    before = children()
    with Isolation() as apart:
        assert children() == before
        apart.run("x", 0, os.getpid)
    with Isolation(1) as apart:
        worker = apart.run("x", 0, os.getpid)
    assert not Path("/proc", str(worker)).exists()


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
