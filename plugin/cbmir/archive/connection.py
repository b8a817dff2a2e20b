"""How an archive is reached, and what of it is wanted: the values that `cbmir archive add` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any, Self

from cbmir.errors import BadRequest


class ArchiveKind(StrEnum):
    """Which protocol an archive speaks."""

    DICOMWEB = "dicomweb"
    """QIDO-RS, WADO-RS and STOW-RS (PS3.18)."""
    ORTHANC = "orthanc"
    """Orthanc's REST API: it logs changes, gives hashes and counts."""
    DIMSE = "dimse"
    """C-FIND, C-GET or C-MOVE, C-STORE (PS3.4, PS3.7)."""


class Retrieval(StrEnum):
    """How a DIMSE archive hands its objects over."""

    GET = "get"
    """C-GET: over the association that asks."""
    MOVE = "move"
    """C-MOVE: to a receiver that the archive must know by its AE title."""


def is_url(address: str) -> bool:
    """Whether an archive of this address is spoken to over HTTP."""
    return "://" in address


def is_node(address: str) -> bool:
    """Whether an archive of this address, `AE@HOST:PORT`, is spoken to by DIMSE."""
    return "@" in address and not is_url(address)


@dataclass(frozen=True)
class Credentials:
    """What proves who asks; at most one way is used: a password, a token, or OAuth2 client credentials."""

    username: str = ""
    """For HTTP Basic authentication (RFC 7617)."""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """A bearer token (RFC 6750)."""
    token_url: str = ""
    """Where OAuth2 client credentials (RFC 6749, 4.4) are exchanged for a token."""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scope: str = ""


LAST_DAY = "99991231"
RULE_LISTS, RULE_DAYS = ("modalities", "without_modalities", "body_parts"), ("since", "until")
"""The fields of `Rules`: lists of codes, and days."""


@dataclass(frozen=True)
class Rules:
    """What of an archive is indexed; empty keeps all."""

    modalities: tuple[str, ...] = ()
    """DICOM codes of the only modalities wanted."""
    without_modalities: tuple[str, ...] = ()
    """DICOM codes of modalities that are not wanted."""
    body_parts: tuple[str, ...] = ()
    """Body Part Examined (0018,0015) of the only objects wanted; one that names none is kept."""
    since: str = ""
    """First Study Date wanted, YYYYMMDD."""
    until: str = ""
    """Last Study Date wanted, YYYYMMDD."""

    def check(self) -> None:
        """Refuse rules that keep nothing.

        Raises:
            cbmir.errors.BadRequest: if the last Study Date is before the first.
        """
        if self.since and self.until and self.since > self.until:
            reason = f"No study is from {self.since} on and of {self.until} or before."
            raise BadRequest(reason, "The first Study Date wanted comes before the last.")

    def keeps(self, modality: str, body_part: str, study_date: date | None = None) -> bool:
        """Whether an object of this modality, body part and Study Date is wanted; without a date, whoever listed it
        has heeded the dates."""
        code, part = modality.upper(), body_part.upper()
        if study_date and not self.since <= f"{study_date:%Y%m%d}" <= (self.until or LAST_DAY):
            return False
        if code in self.without_modalities or (self.modalities and code not in self.modalities):
            return False
        return not (self.body_parts and part and part not in self.body_parts)


@dataclass(frozen=True)
class Connection:
    """One archive: where it is, how it is spoken to, and what of it is wanted.

    Attributes:
        name: as the administrator calls it.
        kind: the protocol.
        address: a base URL for DICOMweb and Orthanc, `AE@HOST:PORT` for DIMSE.
        authority: path of the certificate authority's file (PEM) that signed the archive's certificate; empty for
            the system's.
        certificate, key: paths of our own certificate and its private key (PEM), where the archive asks for one.
        tls: whether a DIMSE association is encrypted (PS3.15, B.1); a URL says so by itself.
        calling_aet: our AE title.
        retrieve: how a DIMSE archive hands objects over.
        move_aet: AE title of our receiver, as the archive knows it, for C-MOVE.
        move_port: TCP port on which that receiver listens while a C-MOVE runs.
        parallel: requests, or associations, at one time.
        requests_per_second: at most so many requests or associations, of one process; 0 for no limit.
        timeout_seconds: how long an answer may take.
        recheck_days: within so many days each study is fetched again though nothing tells of a change, where the
            archive gives no digests; 0 for never.
        viewer: URL that shows a study, with `{study}` and perhaps `{series}` and `{instance}` in place of UIDs;
            empty where the hits link to nothing.
    """

    name: str
    kind: ArchiveKind
    address: str
    credentials: Credentials = field(default_factory=Credentials)
    rules: Rules = field(default_factory=Rules)
    authority: str = ""
    certificate: str = ""
    key: str = ""
    tls: bool = False
    calling_aet: str = "CBMIR"
    retrieve: Retrieval = Retrieval.GET
    move_aet: str = "CBMIR"
    move_port: int = 11113
    parallel: int = 4
    requests_per_second: float = 0.0
    timeout_seconds: float = 30.0
    recheck_days: int = 0
    viewer: str = ""

    def options(self) -> dict[str, Any]:
        """All but name, kind, address and credentials, as JSON."""
        apart = ("name", "kind", "address", "credentials")
        return {name: value for name, value in asdict(self).items() if name not in apart}

    @classmethod
    def of(
        cls, name: str, kind: str, address: str, options: Mapping[str, Any], credentials: Mapping[str, str]
    ) -> Self:
        """The connection that `options` and the fields of `Credentials` describe; unknown options are ignored.

        Raises:
            cbmir.errors.BadRequest: if a value is none that its field can have.
        """
        known = {each.name for each in fields(cls)}
        chosen = {key: value for key, value in options.items() if key in known}
        rules = Rules(**{key: _frozen(value) for key, value in dict(chosen.pop("rules", {})).items()})
        try:
            retrieve = Retrieval(chosen.pop("retrieve", Retrieval.GET))
            return cls(
                name,
                ArchiveKind(kind),
                address,
                Credentials(**credentials),
                rules,
                retrieve=retrieve,
                **chosen,
            )
        except (TypeError, ValueError) as error:
            raise BadRequest(f"The archive {name} is described wrongly: {error}.") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
