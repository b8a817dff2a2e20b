"""`cbmir up` as a user runs it: ready, working, alone, and gone within seconds."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from select import select

import pytest
import yaml
from celery import Celery

from cbmir.settings import Settings
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import client, embedded_redis, queues
from cbmir_workers.up import child_environment, workers

Run = Callable[..., "subprocess.Popen[str]"]
JobOf = Callable[[str], Job]
WaitFor = Callable[..., None]

COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yml"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run_up(settings: Settings) -> Iterator[Run]:
    """Runs `cbmir up` on the installation at a port; ended, if need be, at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(port: int, **changes: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cbmir", "up", "--port", str(port)]
        environment = child_environment(replace(settings, **changes))
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def failed_search(database: Database, app: Celery, job_of: JobOf, wait_for: WaitFor) -> str:
    """The error of a search in an empty archive: it shows that a worker answers."""
    parameters = {"k": 5, "where": Where().as_json(), "exclude_same_patient": False, "frame_id": 1}
    nothing = dict.fromkeys(("upload", "sop_instance_uid", "frame_number", "encoder"))
    job_id = client.enqueue(database, app, JobKind.RETRIEVE, {**nothing, **parameters}).id
    wait_for(lambda: job_of(job_id).state == JobState.FAILED)
    return str(job_of(job_id).error_message)


def test_it_runs_everything_once_and_ends_it_within_seconds(
    run_up: Run, database: Database, settings: Settings, app: Celery, port: int, job_of: JobOf, wait_for: WaitFor
) -> None:
    up = run_up(port)
    assert up.stdout is not None
    assert up.stdout.readline() == f"cbmir is ready: http://127.0.0.1:{port}\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        assert answer.status == 200
    assert "The archive holds no image yet" in failed_search(database, app, job_of, wait_for)

    _, said = (second := run_up(port + 1)).communicate(timeout=60)
    assert second.returncode == 1
    assert said.startswith("cbmir: Another `cbmir up` runs on ")

    began = time.monotonic()
    up.send_signal(signal.SIGINT)
    rest, said = up.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert (up.returncode, rest.replace("worker: Warm shutdown (MainProcess)", "").strip()) == (0, ""), said
    assert not embedded_redis.is_running(settings)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_is_said_to_be_ready_where_a_password_is_asked_and_a_redis_that_dies_is_started_again(
    run_up: Run, database: Database, settings: Settings, app: Celery, port: int, job_of: JobOf, wait_for: WaitFor
) -> None:
    up = run_up(port, username="jörg", password="geheim: ä")
    assert up.stdout is not None
    assert select([up.stdout], [], [], 60)[0], "it never said that it is ready"
    assert up.stdout.readline() == f"cbmir is ready: http://127.0.0.1:{port}\n"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)

    pid_file = embedded_redis.folder(settings) / "redis.pid"
    killed = pid_file.read_text()
    os.kill(int(killed), signal.SIGKILL)
    wait_for(lambda: pid_file.exists() and pid_file.read_text() not in ("", killed))
    wait_for(lambda: embedded_redis.is_running(settings))
    assert "The archive holds no image yet" in failed_search(database, app, job_of, wait_for)


def command_of(process: int) -> str:
    """What a process runs; nothing once it has ended, though nobody may have waited for it."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except FileNotFoundError:
        return ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: looks for children in /proc")
def test_what_one_that_is_killed_leaves_behind_ends_by_itself_and_it_can_be_started_again_at_once(
    run_up: Run, port: int, wait_for: WaitFor
) -> None:
    up = run_up(port)
    assert up.stdout is not None
    assert up.stdout.readline() == f"cbmir is ready: http://127.0.0.1:{port}\n"
    children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
    assert len(children) == 1 + len(queues.ROLES)
    up.kill()
    again = run_up(port)
    wait_for(lambda: not any(command_of(int(child)) for child in children))
    assert again.stdout is not None
    assert again.stdout.readline() == f"cbmir is ready: http://127.0.0.1:{port}\n"
    assert again.poll() is None


def test_a_data_folder_that_is_removed_ends_everything_with_a_sentence(
    run_up: Run, settings: Settings, port: int, wait_for: WaitFor
) -> None:
    up = run_up(port)
    assert up.stdout is not None
    assert up.stdout.readline() == f"cbmir is ready: http://127.0.0.1:{port}\n"
    redis_server = embedded_redis.process(settings)
    assert redis_server is not None
    while settings.data.exists():
        shutil.rmtree(settings.data, ignore_errors=True)
    _, said = up.communicate(timeout=60)
    assert up.returncode == 1
    assert [line for line in said.splitlines() if line.startswith("cbmir: ")] == [
        f"cbmir: The data folder {settings.data} was removed while cbmir ran on it. "
        "Put it back, from a copy if need be, then start `cbmir up` again."
    ]
    assert "Redis is gone" not in said
    wait_for(lambda: not command_of(redis_server))


def test_a_port_in_use_is_named_and_nothing_is_started(run_up: Run, settings: Settings, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        _, said = (up := run_up(port)).communicate(timeout=60)
    assert up.returncode == 1
    assert said.strip().splitlines()[-1].startswith(f"cbmir: Port {port} of 127.0.0.1 cannot be used")
    assert not embedded_redis.is_running(settings)


def test_an_open_door_without_a_password_is_refused_at_once(run_up: Run, settings: Settings, port: int) -> None:
    process = run_up(port, host="0.0.0.0")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no password is configured" in said
    assert not embedded_redis.is_running(settings)


def test_children_get_these_very_settings_and_no_others(tmp_path: Path) -> None:
    settings = replace(Settings(data=tmp_path), password="geheim", port=1234, heartbeat_seconds=0.5)
    inherited = {"PATH": os.environ["PATH"], "CBMIR_PASSWORD_FILE": "/run/secrets/other", "CBMIR_PORT": "1"}
    environment = child_environment(settings, inherited)
    assert Settings.from_environment(environment) == settings
    assert environment["PATH"] == os.environ["PATH"]
    assert len([name for name in environment if name.startswith("CBMIR_")]) == len(fields(Settings))


def test_every_role_has_a_process_of_its_own(settings: Settings) -> None:
    programs = workers(settings, tuple(queues.ROLES))
    assert [program.arguments for program in programs] == [("worker", "--role", role) for role in queues.ROLES]
    (retrieve,) = (program for program in programs if program.name == "worker for retrieve")
    assert retrieve.environment["OMP_NUM_THREADS"] == "1"


def test_every_queue_has_a_consumer_in_the_compose_file() -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    commands = [each["command"] for each in services.values() if "worker" in each.get("command", ())]
    roles = [word for command in commands for word in command if word in queues.ROLES]
    assert sorted(roles) == sorted(queues.ROLES)
