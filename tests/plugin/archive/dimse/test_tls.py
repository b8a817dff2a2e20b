"""TLS (PS3.15 B.12) with certificates made here, between our own sides and dcmtk's."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cbmir.archive.connection import Retrieval
from cbmir.archive.dimse.archive import DimseArchive
from cbmir.archive.dimse.receiver import Receiver
from cbmir.archive.dimse.reception import Reception, refuse_open_door
from cbmir.errors import ArchiveRefused, ArchiveUnavailable, BadRequest

# pynetdicom leaves the socket of a handshake that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Pair:
    certificate: str
    key: str


class Authority:
    """A certificate authority that lives for a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(name, self._key, self._key, name, authority=True)
        self.file = self._write(f"{name}.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, days: int = 1) -> Pair:
        """A certificate for 127.0.0.1; with negative days, one that has run out."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, self._key, self._name, days=days)
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return Pair(
            self._write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", key.private_bytes(serialization.Encoding.PEM, *plain)),
        )

    def _write(self, name: str, data: bytes) -> str:
        (self._folder / name).write_bytes(data)
        return str(self._folder / name)

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
        issuer: str,
        *,
        authority: bool = False,
        days: int = 1,
    ) -> x509.Certificate:
        today = datetime.datetime.now(datetime.UTC)
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        public = signer.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=9))
            .not_valid_after(today + datetime.timedelta(days=days))
            .add_extension(where, critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
            .sign(signer, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def server(authority: Authority, receive: Callable[..., Receiver]) -> Receiver:
    """A receiver that wants certificates of its callers."""
    own = authority.issue("server")
    return receive(certificate=own.certificate, key=own.key, authority=authority.file)


def test_both_sides_show_certificates_and_objects_go_through(
    server: Receiver,
    authority: Authority,
    connect: Callable[..., DimseArchive],
    objects: Callable[..., list[Path]],
) -> None:
    own, (file,) = authority.issue("client"), objects(1)
    how = {"tls": True, "authority": authority.file, "certificate": own.certificate, "key": own.key}
    connect("CBMIR", server.port, **how).store([file])
    assert (server.landing.folder / f"{pydicom.dcmread(file).SOPInstanceUID}.dcm").exists()


def test_dcmtk_speaks_it_too(
    server: Receiver, authority: Authority, dcmtk: Run, objects: Callable[..., list[Path]]
) -> None:
    own = authority.issue("client")
    tls = ("+tls", own.key, own.certificate, "+cf", authority.file)
    sent = dcmtk("storescu", *tls, "-aec", "CBMIR", "127.0.0.1", server.port, *objects(2))
    assert sent.returncode == 0, sent.stderr
    assert len(list(server.landing.folder.glob("*.dcm"))) == 2


def test_an_open_door_is_refused(tmp_path: Path) -> None:
    for open_to_all in ({}, {"certificate": "own.pem"}, {"authority": "ca.pem"}):
        with pytest.raises(BadRequest, match="anybody there could send"):
            refuse_open_door(Reception(tmp_path, **{"host": "0.0.0.0", **open_to_all}))
    callers = {"certificate": "own.pem", "authority": "ca.pem"}
    for closed in ({"allowed": ("CT",)}, callers, {"host": "127.0.0.1"}):
        refuse_open_door(Reception(tmp_path, **{"host": "0.0.0.0", **closed}))


def test_who_shows_no_certificate_is_not_let_in(
    server: Receiver, authority: Authority, connect: Callable[..., DimseArchive]
) -> None:
    (check,) = connect("CBMIR", server.port, tls=True, authority=authority.file).test()
    assert not check.fine
    assert check.remedy


def test_who_does_not_encrypt_is_not_let_in(server: Receiver, dcmtk: Run) -> None:
    assert dcmtk("echoscu", "-to", "5", "-ta", "5", "-aec", "CBMIR", "127.0.0.1", server.port).returncode != 0


def test_a_certificate_of_another_authority_is_not_trusted(
    server: Receiver, tmp_path: Path, connect: Callable[..., DimseArchive]
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger")
    with pytest.raises(ArchiveRefused, match="cannot be trusted"):
        list(connect("CBMIR", server.port, tls=True, authority=stranger.file).studies())


def test_an_expired_certificate_is_named_as_such(
    authority: Authority, receive: Callable[..., Receiver], connect: Callable[..., DimseArchive]
) -> None:
    own = authority.issue("expired", days=-1)
    port = receive(certificate=own.certificate, key=own.key).port
    with pytest.raises(ArchiveRefused, match="expired"):
        list(connect("CBMIR", port, tls=True, authority=authority.file).studies())


def test_tls_to_who_does_not_speak_it(
    receive: Callable[..., Receiver], authority: Authority, connect: Callable[..., DimseArchive]
) -> None:
    with pytest.raises((ArchiveRefused, ArchiveUnavailable), match="TLS"):
        list(connect("CBMIR", receive().port, tls=True, authority=authority.file, timeout_seconds=2).studies())


def test_dcmqrscp_without_tls_hangs_up(
    qrscp: Any, authority: Authority, connect: Callable[..., DimseArchive]
) -> None:
    with pytest.raises(ArchiveUnavailable, match="hangs up where TLS is to begin") as said:
        list(connect("QRSCP", qrscp.port, tls=True, authority=authority.file, timeout_seconds=2).studies())
    assert "leave out --tls" in said.value.remedy


def test_a_slow_handshake_holds_nobody_up(
    server: Receiver, authority: Authority, connect: Callable[..., DimseArchive]
) -> None:
    own = authority.issue("client")
    how = {"tls": True, "authority": authority.file, "certificate": own.certificate, "key": own.key}
    with socket.create_connection(("127.0.0.1", server.port)):
        checks = connect("CBMIR", server.port, timeout_seconds=5, **how).test()
    assert [check.what for check in checks if check.fine][:2] == ["association", "C-ECHO"]


def test_files_that_are_none_are_named(tmp_path: Path, connect: Callable[..., DimseArchive]) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(BadRequest, match=r"no\.pem"):
        connect("PACS", 104, tls=True, authority=str(tmp_path / "no.pem"))
    archive = connect("PACS", 104, tls=True, retrieve=Retrieval.MOVE)
    with pytest.raises(BadRequest, match="no certificate of ours"):
        list(archive.fetch([], tmp_path / "spool"))
