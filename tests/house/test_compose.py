"""docker-compose.yml: accepted by Docker Compose, hardened, and each service runs by its command there."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import make_url

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "CBMIR_PASSWORD", "CBMIR_SECRET_KEY")

Service = dict[str, Any]


def compose(folder: Path, *words: str, secrets: tuple[str, ...] = SECRETS) -> subprocess.CompletedProcess[str]:
    (folder / "env").write_text("".join(f"{name}=test-{name.lower()}\n" for name in secrets))
    command = [BIN / "docker-compose", "-f", ROOT / "docker-compose.yml", "--env-file", folder / "env", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(folder)})


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """The file as Docker Compose reads it, with passwords filled in."""
    done = compose(tmp_path, "--profile", "pacs", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def services(whole: dict[str, Any]) -> dict[str, Service]:
    """Its services."""
    found: dict[str, Service] = whole["services"]
    return found


def test_all_services_are_there_watched_and_hardened(services: dict[str, Service]) -> None:
    assert set(services) == {"postgres", "redis", "migrate", "web", "worker", "follower", "trainer", "orthanc"}
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name
        assert not service["user"].startswith(("0", "root")), name
        assert service["logging"]["options"]["max-size"], f"the log of {name} would fill the disk"
        if name != "orthanc":  # Docker Compose writes no configuration into a read-only container
            assert service["read_only"] is True, name


def test_no_image_becomes_another_version_by_itself(services: dict[str, Service]) -> None:
    tags = {name: service["image"].partition(":")[2] for name, service in services.items()}
    assert tags.pop("postgres").startswith("16-"), "all of PostgreSQL 16 is one version, with mends"
    assert {name: tag for name, tag in tags.items() if not re.match(r"\d+\.\d+", tag)} == {}


@pytest.mark.parametrize("missing", SECRETS)
def test_no_password_has_a_default(tmp_path: Path, missing: str) -> None:
    given = tuple(name for name in SECRETS if name != missing)
    done = compose(tmp_path, "config", "--quiet", secrets=given)
    assert done.returncode != 0
    assert f"{missing} is missing a value" in done.stderr


def test_what_env_names_reaches_the_build(tmp_path: Path) -> None:
    """pip reads its index from the environment, where an argument gets that the Dockerfile names."""
    (tmp_path / "env").write_text("")
    given = {"PIP_EXTRA_INDEX_URL": "https://wheels.example.org/cpu", "CBMIR_EXTRAS": "hnsw"}
    passwords = dict.fromkeys(SECRETS, "x")
    done = subprocess.run(
        [BIN / "docker-compose", "-f", ROOT / "docker-compose.yml", "config", "--format", "json"],
        capture_output=True, text=True, check=True, env={"HOME": str(tmp_path), **passwords, **given},
    )  # fmt: skip
    arguments = json.loads(done.stdout)["services"]["web"]["build"]["args"]
    assert arguments == {"EXTRAS": "hnsw", "PIP_EXTRA_INDEX_URL": given["PIP_EXTRA_INDEX_URL"]}
    declared = re.findall(r"^ARG (\w+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(declared) == set(arguments)


def test_settings_of_ones_own_reach_the_workers(tmp_path: Path) -> None:
    copied = tmp_path / "docker-compose.yml"
    copied.write_bytes((ROOT / "docker-compose.yml").read_bytes())
    (tmp_path / "cbmir.env").write_text("CBMIR_QUERIES_KEPT_DAYS=90\n")
    done = subprocess.run(
        [BIN / "docker-compose", "-f", copied, "config", "--format", "json"],
        capture_output=True, text=True, check=True, env={"HOME": str(tmp_path), **dict.fromkeys(SECRETS, "x")},
    )  # fmt: skip
    services = json.loads(done.stdout)["services"]
    for name in ("web", "worker", "follower", "trainer"):
        assert services[name]["environment"]["CBMIR_QUERIES_KEPT_DAYS"] == "90"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def environment_of(service: Service, **instead: str) -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": instead["CBMIR_DATA"], **service["environment"], **instead}


def run_health_check(service: Service, environment: dict[str, str], port: int) -> subprocess.CompletedProcess[str]:
    kind, *words = service["healthcheck"]["test"]
    words = [word.replace(":8000", f":{port}") for word in words]
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def wait_until_healthy(service: Service, environment: dict[str, str], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while (done := run_health_check(service, environment, port)).returncode != 0:
        assert time.monotonic() < deadline, done.stdout + done.stderr + log.read_text()
        time.sleep(0.5)


@pytest.mark.skipif(which("redis-server") is None, reason="needs redis-server: run `make services`")
def test_each_command_runs_as_it_stands_there(
    services: dict[str, Service], tmp_path: Path, postgres_url: str
) -> None:
    redis_port, web_port = free_port(), free_port()
    instead = {
        "CBMIR_DATA": str(tmp_path / "data"),
        "CBMIR_DATABASE_URL": make_url(postgres_url).render_as_string(hide_password=False),
        "CBMIR_BROKER_URL": f"redis://:test-redis_password@127.0.0.1:{redis_port}/0",
        "CBMIR_PORT": str(web_port),
    }
    redis, redis_log = services["redis"], tmp_path / "redis.log"
    *shell, script = redis["command"]
    script = script.replace("$$", "$").replace("/data", str(tmp_path)) + f" --port {redis_port}"
    secret = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": redis["environment"]["REDISCLI_AUTH"]}
    with running([*shell, script], secret, redis_log):
        check = {**redis, "healthcheck": {"test": ["CMD-SHELL", f"redis-cli -p {redis_port} ping | grep -q PONG"]}}
        wait_until_healthy(check, secret, 0, redis_log)

        migrate = services["migrate"]
        environment = environment_of(migrate, **instead)
        subprocess.run(migrate["command"], env=environment, check=True, capture_output=True)
        assert run_health_check(migrate, environment, 0).returncode == 0

        for name in ("web", "worker", "follower", "trainer"):
            service, log = services[name], tmp_path / f"{name}.log"
            environment = environment_of(service, **instead)
            with running(service["command"], environment, log) as process:
                wait_until_healthy(service, environment, web_port, log)
                assert process.poll() is None, log.read_text()
                if name == "web":
                    assert status_without_password(web_port) == 401
                    assert statuses_by_host(web_port, environment, "web:8000", "elsewhere:8000") == [200, 400]


def test_orthanc_loads_the_script_as_it_is_configured_there(
    whole: dict[str, Any], start_orthanc: Callable[..., Any]
) -> None:
    configured = json.loads(whole["configs"]["orthanc"]["content"])
    orthanc, web = whole["services"]["orthanc"], whole["services"]["web"]
    (mounted,) = (each for each in orthanc["volumes"] if each["type"] == "bind")
    assert mounted["read_only"] is True
    script = Path(mounted["source"]) / Path(configured["PythonScript"]).relative_to(mounted["target"])
    plugins = [Path(each).stem.removeprefix("lib") for each in configured["Plugins"]]

    running = start_orthanc(
        *plugins, PythonScript=str(script), Cbmir=configured["Cbmir"], DicomWeb=configured["DicomWeb"]
    )
    assert running.get("/cbmir/status")["archive"] == "orthanc"
    assert {"dicom-web", "python"} <= set(running.get("/plugins"))
    pages = requests.get(f"{running.url}/plugins/explorer.js", auth=running.auth, timeout=10).text
    assert 'cbmirButtons("http://127.0.0.1:8000")' in pages

    section, environment = configured["Cbmir"], web["environment"]
    assert (section["Username"], section["Password"]) == (
        environment["CBMIR_USERNAME"],
        environment["CBMIR_PASSWORD"],
    )
    assert urlsplit(section["Url"]).hostname in environment["CBMIR_TRUSTED_HOSTS"].split(",")
    assert configured["RegisteredUsers"] == {"cbmir": environment["CBMIR_PASSWORD"]}


def statuses_by_host(port: int, environment: dict[str, str], *hosts: str) -> list[int]:
    """What is answered to who knows the password and calls the web so."""
    asked = {"url": f"http://127.0.0.1:{port}/api/v1/archives", "timeout": 10}
    who = environment["CBMIR_USERNAME"], environment["CBMIR_PASSWORD"]
    return [requests.get(**asked, headers={"Host": host}, auth=who).status_code for host in hosts]


def status_without_password(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/library") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
