"""Requests to cbmir over TLS, and answers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from conftest import Cbmir

Part = Callable[[str], Any]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cbmir")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + text)
    return path


def post(part: Part, url: str, **section: str) -> Any:
    known = {
        "Url": url,
        "Archive": "main",
        "Queue": "/queue.sqlite",
        "Username": "orthanc",
        "Password": "told-secret",
    }
    configuration = part("configuration").Configuration.of({"Cbmir": {**known, **section}})
    return part("client").Client(configuration).post("/x", b"{}", "application/json", 5.0)


def test_only_a_certificate_that_is_trusted_gets_the_password(cbmir: Cbmir, part: Part, certificate: Path) -> None:
    cbmir.stop()
    cbmir.certificate = certificate
    cbmir.start()
    url = cbmir.url.replace("http:", "https:")
    assert post(part, url, Authority=str(certificate)).well
    with pytest.raises(part("client").NoAnswer, match="certificate verify failed"):
        post(part, url)
    with pytest.raises(part("client").NoAnswer, match="certificate verify failed"):
        post(part, url.replace("127.0.0.1", "localhost"), Authority=str(certificate))
    assert len(cbmir.told) == 1


@pytest.fixture
def says(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a server that says just the bytes of the parameter to whoever comes, and hangs up."""
    with create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(request.param)

        thread = Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (16 * 1024 * 1024 + 1),
    ],
    ids=["nothing", "other", "cut", "cut error", "headers", "chunks", "endless"],
    indirect=True,
)
def test_what_is_no_answer_is_said_so(says: str, part: Part) -> None:
    with pytest.raises(part("client").NoAnswer) as caught:
        post(part, says)
    assert "told-secret" not in str(caught.value)
