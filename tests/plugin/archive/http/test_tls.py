"""Whom we trust over TLS, and how we show who we are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.connection import Connection
from cbmir.archive.http import tls
from cbmir.archive.http.session import ArchiveSession
from cbmir.errors import ArchiveRefused, ArchiveUnavailable, BadRequest

Connect = Callable[..., Connection]


def fine(_: Any) -> Any:
    return 200, {"a": 1}, {}


def status(connection: Connection) -> int:
    with ArchiveSession(connection) as session:
        return session.get(f"{session.base}/x").status_code


def refusal(connection: Connection) -> str:
    with pytest.raises(ArchiveRefused) as caught:
        status(connection)
    assert caught.value.remedy
    return caught.value.reason


def test_our_own_authority_is_trusted_whatever_the_environment_says(
    serve: Any, connection: Connect, authority: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    server = serve(fine, authority.context())
    assert status(connection(server.url, authority=authority.file)) == 200


def test_a_stranger_is_not_trusted(serve: Any, connection: Connect, authority: Any) -> None:
    assert "not trusted" in refusal(connection(serve(fine, authority.context()).url))


def test_what_the_system_trusts_is_read_once_and_again_when_it_changes(
    serve: Any, connection: Connect, authority: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trusted = tmp_path / "system.pem"
    trusted.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    ours = connection(serve(fine, authority.context()).url)
    assert "not trusted" in refusal(ours)
    assert tls.context(ours) is tls.context(ours)
    trusted.write_bytes(Path(authority.file).read_bytes())
    assert status(ours) == 200


def test_where_the_system_knows_no_authority_those_of_mozilla_are_trusted(
    connection: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert tls.context(connection("https://pacs")).cert_store_stats()["x509_ca"] > 100


def test_an_expired_certificate_is_said_to_be_expired(serve: Any, connection: Connect, authority: Any) -> None:
    server = serve(fine, authority.context(days=-1))
    assert "certificate has expired" in refusal(connection(server.url, authority=authority.file))


def test_a_certificate_of_another_host(serve: Any, connection: Connect, authority: Any) -> None:
    server = serve(fine, authority.context(host="127.0.0.2"))
    assert "not valid for '127.0.0.1'" in refusal(connection(server.url, authority=authority.file))


def test_a_client_certificate_is_shown(serve: Any, connection: Connect, authority: Any) -> None:
    server = serve(fine, authority.context(demanding=True))
    with pytest.raises((ArchiveRefused, ArchiveUnavailable)) as caught:  # the reason may come too late to be read
        status(connection(server.url, authority=authority.file))
    assert "certificate" in caught.value.remedy
    certificate, key = authority.signed("client")
    shown = connection(server.url, authority=authority.file, certificate=certificate, key=key)
    assert status(shown) == 200


def test_a_server_that_speaks_no_tls(serve: Any, connection: Connect) -> None:
    server = serve(fine)
    assert "does not speak TLS" in refusal(connection(server.url.replace("http:", "https:")))


def test_files_of_no_use_are_named(connection: Connect, authority: Any, tmp_path: Path) -> None:
    certificate, _ = authority.signed("client")
    other_key = authority.signed("other")[1]
    (tmp_path / "text.pem").write_text("no certificate")
    missing, text = str(tmp_path / "missing.pem"), str(tmp_path / "text.pem")
    for how in (
        {"authority": missing},
        {"authority": text},
        {"certificate": missing},
        {"certificate": text},
        {"certificate": certificate, "key": other_key},
    ):
        with pytest.raises(BadRequest, match=r"\.pem"):
            ArchiveSession(connection("https://127.0.0.1:1", **how))
