"""How an archive lets us in, from the page: by password, token or OAuth2; and certificates of one's own."""

from __future__ import annotations

import logging
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.services.archives.registered import add, connection_to
from cbmir.settings import Settings
from cbmir.store import archives
from cbmir.store.session import Database

API = "/api/v1/archives"
Token = Callable[..., str]
EDIT = "/archives/pacs/edit"
DOWN = Connection("pacs", ArchiveKind.ORTHANC, "http://127.0.0.1:9", Credentials("me", "old-secret"))
OAUTH2 = {"token_url": "https://login/token", "client_id": "us", "client_secret": "s3cret", "scope": "dicom"}
TOKEN = "t0ken-of-ours"


def signed(folder: Path, name: str, by: str = "") -> None:
    """Writes a certificate for 127.0.0.1 and its key, signed by another of the folder, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate((folder / f"{by}.pem").read_bytes()).subject if by else _named(name)
    signer = serialization.load_pem_private_key((folder / f"{by}.key").read_bytes(), None) if by else key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(issuer, _named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not by, path_length=None), True)
        .add_extension(alternative, False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture
def certificates(settings: Settings) -> Path:
    """The folder of certificates, with an authority, what it has signed for us, and for a server."""
    folder = settings.certificates
    folder.mkdir(parents=True)
    for name, by in (("ca", ""), ("us", "ca"), ("server", "ca")):
        signed(folder, name, by)
    return folder.absolute()


@dataclass
class Guarded:
    """A DICOMweb server without studies, which lets in who shows a certificate and brings the token."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)

    def app(self) -> Flask:
        app = Flask("guarded")

        @app.post("/token")
        def token() -> Any:
            self.secrets.append(f"{request.authorization.username}:{request.authorization.password}")
            return jsonify(access_token=TOKEN, token_type="bearer", expires_in=3600)

        @app.get("/dicom-web/studies")
        def studies() -> Any:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return Response(status=401)
            return jsonify([])

        return app


class Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def guarded(certificates: Path) -> Iterator[Guarded]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    archive = Guarded()
    server = make_server("127.0.0.1", 0, archive.app(), threaded=True, request_handler=Silent, ssl_context=context)
    archive.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield archive
    server.shutdown()
    thread.join()
    server.server_close()


TLS = {"authority": "ca.pem", "certificate": "us.pem", "key": "us.key"}


@pytest.mark.parametrize("way", ["token", "oauth2"])
def test_an_archive_behind_certificates_and_tokens_is_followed_from_the_page(
    client: FlaskClient, token: Token, database: Database, settings: Settings, guarded: Guarded, way: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    page = client.get("/archives").text
    assert all(f"<option>{name}</option>" in page for name in TLS.values())
    asked = {"name": "pacs", "address": f"{guarded.url}/dicom-web", "csrf_token": token("/archives"), "way": way}
    oauth2 = OAUTH2 | {"token_url": f"{guarded.url}/token"}
    given = {"token": TOKEN} if way == "token" else oauth2
    others = {"username": "left", "password": "over"} | (oauth2 if way == "token" else {"token": "left over"})

    stranger = client.post("/archives", data=asked | given | {"authority": "ca.pem"})
    assert stranger.status_code in (422, 502)
    assert client.post("/archives", data=asked | given).status_code in (422, 502), "nobody vouches for it"
    wrong = client.post("/archives", data=asked | given | TLS | {"token": "wr0ng", "client_secret": ""})
    assert wrong.status_code == 422
    for name in ("us.pem", "us.key", "ca.pem"):
        assert f"<option selected>{name}</option>" in wrong.text, "what was chosen is there again"
    done = client.post("/archives", data=asked | others | given | TLS)
    assert (done.status_code, done.location) == (303, "/archives")

    known = connection_to(database, settings, "pacs")
    assert (known.kind, known.credentials) == (ArchiveKind.DICOMWEB, Credentials(**given))
    assert {name: Path(getattr(known, name)).name for name in TLS} == TLS
    assert Path(known.key).parent == settings.certificates.absolute()
    tested = client.post("/archives/pacs/test", data={"csrf_token": asked["csrf_token"]}).text
    assert f"It lets us in by {'a bearer token' if way == 'token' else 'OAuth2 client credentials'}." in tested
    assert set(guarded.secrets) == (set() if way == "token" else {"us:s3cret"})
    shown = wrong.text + stranger.text + tested + client.get("/archives").text + client.get(EDIT).text + caplog.text
    for secret in (TOKEN, "s3cret", "wr0ng", "BEGIN PRIVATE KEY"):
        assert secret not in shown


@pytest.fixture
def described(database: Database, settings: Settings) -> Callable[[], Connection]:
    """How the archive is reached, which nobody has asked yet."""
    add(database, settings, DOWN)
    return lambda: connection_to(database, settings, "pacs")


def test_the_way_in_which_it_lets_us_in_is_changed_by_the_form(
    client: FlaskClient, token: Token, described: Any
) -> None:
    sent = {
        "csrf_token": token(EDIT),
        "address": DOWN.address,
        "username": "me",
        "untested": "true",
        "way": "oauth2",
    }
    refused = client.post(EDIT, data=sent | OAUTH2 | {"client_secret": "", "token_url": " "})
    assert refused.status_code == 422
    assert "Missing, to be let in: token URL, client secret." in refused.text
    assert described() == DOWN
    assert client.post(EDIT, data=sent | OAUTH2).status_code == 303
    assert described().credentials == Credentials(**OAUTH2)
    page = client.get(EDIT).text
    assert 'name="way" value="oauth2" checked' in page
    for shown in ("https://login/token", "us", "dicom"):
        assert f'value="{shown}"' in page
    assert "s3cret" not in page
    assert client.post(EDIT, data=sent | OAUTH2 | {"client_secret": ""}).status_code == 303
    assert described().credentials == Credentials(**OAUTH2), "an empty secret is the one that is kept"
    elsewhere = sent | OAUTH2 | {"client_secret": "", "token_url": "https://elsewhere/token"}
    assert "another host" in client.post(EDIT, data=elsewhere).text
    assert "Missing, to be let in: token." in client.post(EDIT, data=sent | {"way": "token"}).text
    assert client.post(EDIT, data=sent | {"way": "smile"}).status_code == 422
    assert client.post(EDIT, data=sent | {"way": "password"}).status_code == 303
    assert described().credentials == Credentials(username="me")


def test_certificates_are_chosen_among_those_of_the_folder(
    client: FlaskClient, token: Token, database: Database, settings: Settings, certificates: Path, tmp_path: Path
) -> None:
    elsewhere = str(shutil.copy(certificates / "ca.pem", tmp_path / "elsewhere.pem"))
    add(database, settings, Connection("pacs", ArchiveKind.DICOMWEB, "https://127.0.0.1:9", authority=elsewhere))
    page = client.get(EDIT).text
    assert f"<option selected>{elsewhere}</option>" in page
    sent = {"csrf_token": token(EDIT), "address": "https://127.0.0.1:9", "untested": "true"}
    chosen = {"authority": elsewhere, "certificate": "us.pem", "key": "us.key"}
    assert client.post(EDIT, data=sent | chosen).status_code == 303

    def kept() -> dict[str, str]:
        with database.read() as session:
            options = archives.get(session, "pacs").options
        return {name: options[name] for name in chosen}

    pair = {"certificate": f"{certificates}/us.pem", "key": f"{certificates}/us.key"}
    assert kept() == pair | {"authority": elsewhere}
    page = client.get(EDIT).text
    for shown in ("us.pem", "us.key", elsewhere):
        assert f"<option selected>{shown}</option>" in page
    assert client.post(EDIT, data=sent | chosen).status_code == 303
    assert kept() == pair | {"authority": elsewhere}, "a form that is sent as it is shown changes nothing"
    assert client.post(EDIT, data=sent | chosen | {"authority": "ca.pem"}).status_code == 303
    assert client.patch(f"{API}/pacs", json={"key": None, "certificate": None, "untested": True}).status_code == 200
    assert kept() == {"authority": f"{certificates}/ca.pem", "certificate": "", "key": ""}
    for wrong in (elsewhere, "../secret.key", "/etc/hostname", "..", "none.pem", str(certificates / "us.pem")):
        refused = client.patch(f"{API}/pacs", json={"certificate": wrong, "untested": True})
        assert (refused.status_code, "is no file of the folder `certificates`" in refused.text) == (422, True)
    misfit = client.patch(f"{API}/pacs", json={"certificate": "us.pem", "key": "ca.pem", "untested": True})
    assert misfit.status_code == 422
    assert "cannot be used with its key" in misfit.text
