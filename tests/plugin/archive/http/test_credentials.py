"""OAuth2 client credentials against a token endpoint that lets tokens expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from cbmir.archive.connection import Connection, Credentials
from cbmir.archive.http.session import ArchiveSession
from cbmir.errors import ArchiveGarbled, ArchiveRefused, ArchiveUnavailable, BadRequest, CbmirError

Connect = Callable[..., Connection]


class Guarded:
    """An archive and the endpoint that gives tokens for it, each valid for so many seconds and requests."""

    def __init__(self, seconds: int | None = 3600, uses: int = 1000) -> None:
        self.seconds, self.uses = seconds, uses
        self.given, self.left = 0, 0

    def __call__(self, asked: Any) -> Any:
        if asked.path == "/token":
            return self.token(parse_qs(asked.body.decode()), asked.headers["authorization"])
        if asked.headers.get("authorization") != f"Bearer token-{self.given}" or not self.left:
            return 401, b"", {}
        self.left -= 1
        return 200, {"a": 1}, {}

    def token(self, form: dict[str, list[str]], authorization: str) -> Any:
        if authorization != "Basic Y2JtaXI6aHVzaA==" or form != {
            "grant_type": ["client_credentials"],
            "scope": ["x"],
        }:
            return 401, {"error": "invalid_client"}, {}
        self.given, self.left = self.given + 1, self.uses
        expiry = {"expires_in": self.seconds} if self.seconds else {}
        return 200, {"access_token": f"token-{self.given}", "token_type": "Bearer", **expiry}, {}


def by_client(connection: Connect, url: str, secret: str = "hush", **how: Any) -> Connection:
    credentials = Credentials(token_url=f"{url}/token", client_id="cbmir", client_secret=secret, scope="x")
    return connection(url, credentials=credentials, **how)


def ask(connection: Connection, times: int = 3) -> None:
    with ArchiveSession(connection) as session:
        for _ in range(times):
            assert session.get(f"{session.base}/x").json() == {"a": 1}


@pytest.mark.parametrize(
    ("guard", "tokens"),
    [
        (Guarded(), 1),
        (Guarded(seconds=5), 3),  # it expires within the leeway: renewed before each request
        (Guarded(seconds=None, uses=2), 2),  # it does not say when, and is refused at the third
    ],
    ids=["valid", "expires", "refused"],
)
def test_a_token_is_asked_for_as_often_as_needed(
    serve: Any, connection: Connect, guard: Guarded, tokens: int
) -> None:
    ask(by_client(connection, serve(guard).url))
    assert guard.given == tokens


def test_a_new_token_that_is_refused_as_well_is_a_refusal(serve: Any, connection: Connect) -> None:
    guard = Guarded(uses=0)
    with pytest.raises(ArchiveRefused, match="credentials"):
        ask(by_client(connection, serve(guard).url))
    assert guard.given == 2


def test_a_wrong_secret_is_refused_by_name_and_not_told(serve: Any, connection: Connect) -> None:
    with pytest.raises(ArchiveRefused, match=r"token endpoint of the archive pacs .*invalid_client") as caught:
        ask(by_client(connection, serve(Guarded()).url, secret="wrong-secret"))
    assert "wrong-secret" not in f"{caught.value.sentence} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, b"<html>log in</html>", {}), ArchiveGarbled),
        ((200, {"token": "x"}, {}), ArchiveGarbled),
        ((200, ["x"], {}), ArchiveGarbled),
        ((404, b"", {}), CbmirError),
        ((500, b"", {}), ArchiveUnavailable),
        ((302, b"", {"Location": "http://localhost:1/"}), ArchiveRefused),
    ],
)
def test_an_endpoint_that_gives_no_token(serve: Any, connection: Connect, answer: Any, error: Any) -> None:
    with pytest.raises(error, match="archive pacs"):
        ask(by_client(connection, serve(lambda _: answer).url))


@pytest.mark.parametrize("given", [{"token_url": "http://127.0.0.1:1/token"}, {"client_id": "cbmir"}])
def test_oauth2_by_halves_is_refused(connection: Connect, given: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=r"is reached by OAuth2, and .* is not said"):
        ArchiveSession(connection("http://127.0.0.1:1", credentials=Credentials(**given)))


def test_an_endpoint_that_is_down(serve: Any, connection: Connect) -> None:
    credentials = Credentials(token_url="http://127.0.0.1:1/token", client_id="a", client_secret="b")
    with pytest.raises(ArchiveUnavailable, match="cannot be reached"):
        ask(connection(serve(Guarded()).url, credentials=credentials))
