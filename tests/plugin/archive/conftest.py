"""Servers over HTTP that do as a test tells them, well or badly, with or without TLS; and connections to them."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from cbmir.archive.connection import ArchiveKind, Connection

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Asked:
    """A request as a scripted server got it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


Body = bytes | list[Any] | dict[str, Any]

Answer = tuple[int, Body, dict[str, str]]
"""Status, body (JSON unless bytes, which are called HTML) and headers; a header `cut` is not sent, but closes the
connection after so many bytes of the body."""

Script = Callable[[Asked], Answer]


class Scripted(ThreadingHTTPServer):
    """A server that answers by a script and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked = script, list[Asked]()
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.asked.append(asked)
        status, body, headers = self.server.script(asked)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/html" if isinstance(body, bytes) else "application/dicom+json"
        named = {"Content-Type": kind, "Content-Length": str(len(data)), **headers}
        cut = named.pop("cut", None)
        self.send_response(status)
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: int(cut)] if cut else data)
        self.close_connection = cut is not None

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    """Starts servers that answer by a script, perhaps with TLS; all are ended afterwards."""
    running: list[Scripted] = []

    def start(script: Script, context: ssl.SSLContext | None = None) -> Scripted:
        server = Scripted(script, context)
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts servers that say whatever bytes a test writes to each client; gives their URL."""
    running: list[socketserver.ThreadingTCPServer] = []

    def start(say: Callable[[socket.socket], None]) -> str:
        class Speaking(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65_536)
                with suppress(OSError):  # the client hangs up
                    say(self.request)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaking)
        server.daemon_threads = True
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Connection]:
    """A connection to a URL that is impatient enough for tests."""
    monkeypatch.setattr("cbmir.archive.http.session.BACK_OFF", 0.01)

    def make(url: str, kind: ArchiveKind = ArchiveKind.DICOMWEB, **how: Any) -> Connection:
        return Connection("pacs", kind, url, **{"timeout_seconds": 5.0, **how})

    return make


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own, which signs whatever it is asked to."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> str:
        return str(_written(self.folder / "ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM)))

    def signed(self, name: str, days: int = 2, host: str = "127.0.0.1") -> tuple[str, str]:
        """Paths of a certificate, valid until so many days from now, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        certificate = _unsigned(name, self.certificate.subject, key, days).add_extension(names, False)
        made = certificate.sign(self.key, hashes.SHA256())
        return (
            str(_written(self.folder / f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))),
            str(_written(self.folder / f"{name}.key", _pem(key))),
        )

    def context(self, days: int = 2, demanding: bool = False, host: str = "127.0.0.1") -> ssl.SSLContext:
        """What a server needs that shows a certificate of ours, and may demand one of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.signed("server", days, host))
        if demanding:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain)


def _unsigned(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority that nobody trusts who is not told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    unsigned = _unsigned("test authority", name, key, 2)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return Authority(tmp_path, key, unsigned.add_extension(constraints, True).sign(key, hashes.SHA256()))


@pytest.fixture
def varied(make_dicom: Callable[..., bytes], tmp_path: Path) -> list[Path]:
    """One study of two series: small objects in several transfer syntaxes, some of them with several frames."""
    study, series = generate_uid(), [generate_uid(), generate_uid()]
    paths = []
    for number, (syntax, frames) in enumerate(product(SYNTAXES, (1, 3))):
        dataset = dcmread(
            BytesIO(make_dicom(number, StudyInstanceUID=study, SeriesInstanceUID=series[number % 2], PatientID="P"))
        )
        dataset.Rows = dataset.Columns = 64
        dataset.NumberOfFrames, dataset.PixelData = frames, bytes(range(16)) * 512 * frames
        paths.append(_encoded(dataset, syntax, tmp_path / f"varied-{number}.dcm"))
    return paths


SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)


def _encoded(source: FileDataset, syntax: UID, path: Path) -> Path:
    dataset = Dataset({element.tag: element for element in source})
    dataset.file_meta = source.file_meta
    if syntax.is_encapsulated:
        dataset.compress(syntax)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path
