"""What all our associations share: how pynetdicom is set up, who we say we are, and TLS (PS3.7, PS3.8, PS3.15)."""

from __future__ import annotations

import logging
import ssl

from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config

from cbmir import __version__
from cbmir.archive.trust import trusting
from cbmir.dicom.syntaxes import YOUNGER
from cbmir.errors import BadRequest

IMPLEMENTATION_CLASS_UID = UID("2.25.306644649356262157752409950900884842528")
"""Names this implementation (PS3.7 D.3.3.2); derived from a UUID, as PS3.5 B.2 allows."""

IMPLEMENTATION_VERSION = f"CBMIR_{__version__}"[:16]

MAX_PDU = 128 * 1024
"""Bytes of a P-DATA PDU that we take (PS3.8 D.1): fewer, larger pieces halve the time that an object costs."""

TRANSFER_SYNTAXES = tuple(dict.fromkeys([*AllTransferSyntaxes, *YOUNGER]))
"""Every transfer syntax that pydicom lists, and those that it does not list yet."""

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What queries and commands with small data sets are proposed in."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Those of the BCP 195 profile (PS3.15 B.12) for TLS 1.2; TLS 1.3 brings its own."""

_config.UNRESTRICTED_STORAGE_SERVICE = True  # every storage class, also private and unknown ones
_config.STORE_SEND_CHUNKED_DATASET = True  # a file is sent as it lies on disk, in pieces
_config.LOG_HANDLER_LEVEL = "none"  # the handlers describe every message, patients' names too
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it quotes what a peer sends in the place of a UID


def application(aet: str, timeout_seconds: float, kind: type[AE] = AE) -> AE:
    """An application entity of ours, of a kind.

    Raises:
        cbmir.errors.BadRequest: if `aet` is no AE title (PS3.5 6.2: 1 to 16 characters).
    """
    try:
        entity = kind(ae_title=checked_aet(aet))
    except ValueError as error:
        raise BadRequest(f"{aet!r} is no AE title.", "Take 1 to 16 letters and digits.") from error
    entity.maximum_pdu_size = MAX_PDU
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION
    entity.connection_timeout = entity.acse_timeout = timeout_seconds
    entity.dimse_timeout = entity.network_timeout = timeout_seconds
    return entity


def checked_aet(aet: str) -> str:
    """The AE title without padding.

    Raises:
        cbmir.errors.BadRequest: if it is none.
    """
    found = aet.strip()
    if not 1 <= len(found) <= 16 or not found.isascii() or not found.isprintable() or "\\" in found:
        raise BadRequest(f"{aet!r} is no AE title.", "Take 1 to 16 letters and digits.")
    return found


def client_tls(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """What we ask of a server's certificate, and our own.

    Raises:
        cbmir.errors.BadRequest: if a file is of no use.
    """
    return _tls(ssl.Purpose.SERVER_AUTH, authority, certificate, key)


def server_tls(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Our certificate and, with an `authority`, that callers must show one that it signed.

    Raises:
        as `client_tls`.
    """
    context = _tls(ssl.Purpose.CLIENT_AUTH, authority, certificate, key)
    if authority:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _tls(purpose: ssl.Purpose, authority: str, certificate: str, key: str) -> ssl.SSLContext:
    try:
        context = trusting(authority, purpose)
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except OSError as error:  # ssl.SSLError is one too
        files = ", ".join(filter(None, (authority, certificate, key)))
        raise BadRequest(
            f"Of the files for TLS ({files}) one cannot be used: {error.strerror or error}.",
            "Name PEM files: the authority's certificate, our own with its chain, its key without password.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    return context
