"""What Celery writes into a worker's log is short, and an outage of the broker is told once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cbmir.settings import Settings
from cbmir_workers import embedded_redis
from cbmir_workers.celery_log import CeleryLog
from cbmir_workers.up import child_environment

WaitFor = Callable[..., None]


def written(name: str, level: int, words: str, *args: object, error: Exception | None = None) -> str | None:
    """The line that comes of this one; None if there is none."""
    trace = (type(error), error, None) if error else None
    record = logging.LogRecord(name, level, "", 0, words, args, trace)
    return logging.Formatter().format(record) if CeleryLog().filter(record) else None


def test_lines_of_celery_are_short_and_those_of_others_as_they_are() -> None:
    error = OSError("some words")
    said = written("celery.worker.request", logging.CRITICAL, "Cannot %s\nfor this\n", "decode", error=error)
    assert said == "Cannot decode"
    ours = written("cbmir_workers.tasks", logging.ERROR, "one\ntwo", error=error)
    assert ours == "one\ntwo\nOSError: some words"


@pytest.mark.redis
@pytest.mark.usefixtures("database")
def test_that_the_broker_goes_and_comes_is_said_once(settings: Settings, tmp_path: Path, wait_for: WaitFor) -> None:
    log = tmp_path / "log"
    environment = child_environment(replace(settings, broker_url=embedded_redis.ensure(settings)))
    command = [sys.executable, "-m", "cbmir", "worker", "--role", "train"]
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as worker:
        wait_for(lambda: "is ready" in log.read_text())
        os.kill(embedded_redis.process(settings) or 0, signal.SIGKILL)
        wait_for(lambda: "the broker does not answer" in log.read_text())
        wait_for(lambda: embedded_redis.is_gone(settings))
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(5)  # it asks twice meanwhile
        embedded_redis.ensure(settings)
        wait_for(lambda: "the broker answers again" in log.read_text())
        worker.terminate()
    embedded_redis.stop(settings)
    lines = [line for line in log.read_text().splitlines() if line.strip()]
    celery = [line.partition("celery.")[2] for line in lines if "celery." in line]
    assert len(celery) == 2, lines
    assert len(lines) == 4, "and beside them that it is ready, and that it ends"
