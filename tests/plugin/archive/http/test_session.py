"""How archives are asked, and what becomes of bad answers: one session for all that speaks HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from cbmir.archive.connection import Connection, Credentials
from cbmir.archive.http.answers import translated
from cbmir.archive.http.session import ArchiveSession
from cbmir.errors import (
    ArchiveGarbled,
    ArchiveRefused,
    ArchiveUnavailable,
    BadRequest,
    CbmirError,
    NotFound,
)

Connect = Callable[..., Connection]
Serve = Callable[..., Any]


def get(connection: Connection, path: str = "/x", **how: Any) -> Any:
    with ArchiveSession(connection) as session:
        return session.get(f"{session.base}{path}", **how)


def raised(error: type[CbmirError], connection: Connection, path: str = "/x") -> CbmirError:
    with pytest.raises(error) as caught:
        get(connection, path)
    return caught.value


def always(status: int, body: Any = b"", **headers: str) -> Callable[[Any], Any]:
    return lambda _: (status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def one_after_the_other(*answers: Any) -> Callable[[Any], Any]:
    left = iter(answers)
    return lambda _: next(left)


OK = (200, {"a": 1}, dict[str, str]())


def test_a_password_is_sent_and_compression_is_not_asked_for(serve: Serve, connection: Connect) -> None:
    server = serve(always(200, []))
    get(connection(server.url, credentials=Credentials("älice", "pässword")))
    headers = server.asked[0].headers
    assert headers["authorization"] == "Basic w6RsaWNlOnDDpHNzd29yZA=="
    assert headers["accept-encoding"] == "identity"


def test_a_bearer_token_is_sent_even_if_netrc_knows_better(
    serve: Serve, connection: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password guessed")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(always(200, []))
    get(connection(server.url, credentials=Credentials(token="abc")))
    get(connection(server.url))
    assert [each.headers.get("authorization") for each in server.asked] == ["Bearer abc", None]


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, ArchiveRefused, "does not let us in: without credentials"),
        (403, ArchiveRefused, "does not allow"),
        (400, ArchiveRefused, "HTTP 400"),
        (404, NotFound, "HTTP 404"),
        (410, NotFound, "HTTP 410"),
        (500, ArchiveUnavailable, "HTTP 500"),
    ],
)
def test_a_bad_status_is_one_of_our_errors(
    serve: Serve, connection: Connect, status: int, error: type[CbmirError], said: str
) -> None:
    assert said in raised(error, connection(serve(always(status)).url)).reason


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>log in</html>", {}), "answers with what is no JSON, such as a page for people."),
        ((200, b"[" * 100_000, {}), "answers with JSON that is nested without end."),
        ((302, b"", {"Location": "http://[::1"}), "sends us on to what is no address."),
        ((302, b"", {"Location": "/x"}), "sends us on from place to place without end."),
        ((200, b"no gzip", {"Content-Encoding": "gzip"}), "compresses its answer in a way that cannot be undone."),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_in_plain_words(
    serve: Serve, connection: Connect, answer: Any, said: str
) -> None:
    session = ArchiveSession(connection(serve(lambda _: answer).url))
    with pytest.raises(ArchiveGarbled) as wrong, translated(session.who):
        session.get(f"{session.base}/x").json()
    assert wrong.value.reason == f"The archive pacs {said}"
    assert "Error" not in wrong.value.sentence
    session.close()


def test_who_is_busy_twice_is_asked_three_times_with_a_pause(
    serve: Serve, connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.archive.http.session.BACK_OFF", 0.2)
    began = time.monotonic()
    server = serve(one_after_the_other((503, b"", {}), (503, b"", {}), OK))
    assert get(connection(server.url)).json() == {"a": 1}
    assert len(server.asked) == 3
    assert time.monotonic() - began > 0.4


def test_who_stays_busy_is_given_up(serve: Serve, connection: Connect) -> None:
    server = serve(always(503))
    assert "HTTP 503" in raised(ArchiveUnavailable, connection(server.url)).reason
    assert len(server.asked) == 4


def test_a_wait_that_is_asked_for_is_kept(serve: Serve, connection: Connect) -> None:
    server = serve(one_after_the_other((429, b"", {"Retry-After": "1"}), OK))
    began = time.monotonic()
    assert get(connection(server.url)).json() == {"a": 1}
    assert 1 <= time.monotonic() - began < 5


def test_what_may_have_been_done_is_not_done_again(serve: Serve, connection: Connect) -> None:
    server = serve(always(503))
    with ArchiveSession(connection(server.url)) as session, pytest.raises(ArchiveUnavailable):
        session.post(f"{session.base}/studies", data=b"x")
    assert len(server.asked) == 1


def test_nobody_there(connection: Connect) -> None:
    error = raised(ArchiveUnavailable, connection("http://127.0.0.1:1"))
    assert "cannot be reached: the connection is refused" in error.reason


def test_a_name_that_nobody_knows(connection: Connect) -> None:
    assert "its name is not known" in raised(ArchiveUnavailable, connection("http://nobody.invalid")).reason


def test_an_answer_that_comes_too_late(serve: Serve, connection: Connect) -> None:
    def slow(_: Any) -> Any:
        time.sleep(1)
        return OK

    server = serve(slow)
    assert "in time" in raised(ArchiveUnavailable, connection(server.url, timeout_seconds=0.2)).reason
    assert len(server.asked) == 2


def test_an_answer_that_trickles_is_given_up(connection: Connect, raw: Callable[..., str]) -> None:
    def trickle(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    assert "in time" in raised(ArchiveUnavailable, connection(raw(trickle), timeout_seconds=0.5)).reason
    assert time.monotonic() - began < 3


def test_an_answer_that_breaks_off(serve: Serve, connection: Connect) -> None:
    server = serve(always(200, b"x" * 1000, cut="500"))
    assert "broke off" in raised(ArchiveUnavailable, connection(server.url)).reason


def test_an_answer_without_end(
    connection: Connect, raw: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.archive.http.session.MAX_ANSWER", 1_000_000)

    def endless(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(bytes(100_000))

    assert "without end" in raised(ArchiveGarbled, connection(raw(endless))).reason


@pytest.mark.parametrize("header", [b"X: " + b"y" * 10_000_000, b"\r\n".join(b"X%d: y" % n for n in range(10_000))])
def test_headers_without_end(connection: Connect, raw: Callable[..., str], header: bytes) -> None:
    def boast(client: Any) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n")

    assert "no HTTP" in raised(ArchiveGarbled, connection(raw(boast))).reason


def test_what_is_no_http(connection: Connect, raw: Callable[..., str]) -> None:
    url = raw(lambda client: client.sendall(b"\x02\0\0\0\0\xbe hello\r\n\r\n"))
    assert "no HTTP" in raised(ArchiveGarbled, connection(url)).reason


def test_nobody_is_followed_to_another_host(serve: Serve, connection: Connect) -> None:
    other = serve(always(200, []))
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    for target in (elsewhere, other.url):
        server = serve(always(307, b"", Location=f"{target}/x"))
        error = raised(ArchiveRefused, connection(server.url, credentials=Credentials("a", "b")))
        assert "another host" in error.reason
    assert other.asked == []


def test_a_move_on_the_same_host_is_followed(serve: Serve, connection: Connect) -> None:
    server = serve(lambda asked: OK if asked.path == "/y" else (302, b"", {"Location": "/y"}))
    assert get(connection(server.url)).json() == {"a": 1}


def test_a_move_without_end(serve: Serve, connection: Connect) -> None:
    raised(ArchiveGarbled, connection(serve(always(302, b"", Location="/x")).url))


def test_a_rate_is_kept(serve: Serve, connection: Connect) -> None:
    server = serve(always(200, []))
    paced = connection(server.url, requests_per_second=10)
    with ArchiveSession(paced) as follower, ArchiveSession(paced) as fetcher:
        began = time.monotonic()
        for number in range(21):
            (follower, fetcher)[number % 2].get(f"{follower.base}/x")
        assert 1.5 < time.monotonic() - began < 4


@pytest.mark.parametrize(
    "address", ["ftp://host/x", "host:8042", "http://", "http://host:x/", "http://host/?a=b", "http://a:b@host/"]
)
def test_an_address_that_is_none(connection: Connect, address: str) -> None:
    with pytest.raises(BadRequest, match="pacs") as caught:
        ArchiveSession(connection(address))
    assert "a:b" not in caught.value.sentence


def test_no_secret_is_logged_or_told(serve: Serve, connection: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    server = serve(one_after_the_other((503, b"", {}), (401, b"", {})))
    error = raised(ArchiveRefused, connection(server.url, credentials=Credentials("alice", "hush-hush")))
    told = f"{error.sentence} {error!r} {error.__cause__!r} {caplog.text}"
    assert "hush-hush" not in told
    assert "YWxpY2U6aHVzaC1odXNo" not in told
    assert caplog.records
