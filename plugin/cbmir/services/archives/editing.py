"""An archive that is followed is described otherwise: where it is, who we are there, and what of it is wanted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlsplit

from cbmir.archive import registry
from cbmir.archive.connection import ArchiveKind, Connection, Credentials, Rules, is_node, is_url
from cbmir.errors import BadRequest
from cbmir.services.archives.registered import connection_of
from cbmir.services.archives.sealing import seal
from cbmir.services.archives.slips import refuse_slips
from cbmir.settings import Settings
from cbmir.store import archives, tables
from cbmir.store.session import Database

CREDENTIALS = tuple(each.name for each in fields(Credentials))
RULES = tuple(each.name for each in fields(Rules))

WAYS = {
    "password": ("username", "password"),
    "token": ("token",),
    "oauth2": ("token_url", "client_id", "client_secret", "scope"),
}
"""The fields of `Credentials` that belong together: one of these ways is used."""

SECRETS = ("password", "token", "client_secret")

ASIDE = ("viewer", "parallel", "requests_per_second", "timeout_seconds", "recheck_days", *RULES)
"""What may change without the archive being reached in another way."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Edit:
    """What an archive was, and what it is to be.

    Attributes:
        before: without credentials where these can be read no more.
        seals: whether credentials are to be kept that were given.
    """

    before: Connection
    after: Connection
    seals: bool

    @property
    def changed(self) -> list[str]:
        """Names of the fields that are others now; never a value, which may be a secret."""
        before, after = _flat(self.before), _flat(self.after)
        return [name for name in after if after[name] != before[name]]

    @property
    def reaches_otherwise(self) -> bool:
        """Whether it should be tested again."""
        return bool(set(self.changed) - set(ASIDE))

    @property
    def moves(self) -> bool:
        """Whether what the archive's log said last means nothing any more."""
        return bool({"address", "kind"} & set(self.changed))


def planned(database: Database, settings: Settings, name: str, changes: Mapping[str, Any]) -> Edit:
    """What an archive is with some changes. Nothing is written, and nothing asked of it.

    Args:
        database: the installation's.
        settings: the installation's.
        name: the archive's.
        changes: fields of `Connection`, `Credentials` and `Rules` by name. Credentials of one way take the place of
            those of another.

    Raises:
        cbmir.errors.NotFound: if there is no such archive.
        cbmir.errors.BadRequest: if it is described wrongly, if secrets would be sent to another host than before,
            or if those that are kept were sealed under another secret key.
    """
    with database.read() as session:
        row = archives.get(session, name)
    before = _before(row, settings, changes)
    own = {key: value for key, value in changes.items() if key not in (*CREDENTIALS, *RULES, "kind", "address")}
    rules = {key: value for key, value in changes.items() if key in RULES}
    options = {**before.options(), **own, "rules": {**asdict(before.rules), **rules}}
    address = changes.get("address", before.address)
    kind = changes.get("kind", _kind(before.kind, address))
    after = Connection.of(name, kind, address, options, vars(_credentials(before.credentials, changes)))
    _refuse_another_host(before, after, changes)
    refuse_slips(after, before)
    return Edit(before, after, bool(set(CREDENTIALS) & changes.keys()))


def way_of(credentials: Credentials) -> str:
    """Which of the `WAYS` is used; a password's where none is."""
    return "oauth2" if credentials.token_url else "token" if credentials.token else "password"


def apply(database: Database, settings: Settings, edit: Edit, *, drop_unmatched: bool = False) -> None:
    """Follow the archive as it is described now. With other rules it is compared as a whole.

    Args:
        database: the installation's.
        settings: the installation's.
        edit: from `planned`.
        drop_unmatched: whether the comparison deletes here what came from it and is not wanted any more; else that
            stays, and is followed.

    Raises:
        cbmir.errors.NotFound: if the archive was removed meanwhile.
        cbmir.errors.BadRequest: if the address, or a file that the connection names, is of no use.
    """
    after = edit.after
    registry.connect(after).close()
    values: dict[str, Any] = {"kind": after.kind, "address": after.address, "options": after.options()}
    if edit.seals:
        values["sealed_credentials"] = seal(after.credentials, settings.resolved_secret_key)
    if edit.moves:
        values |= {"cursor": "", "connected": None, "error_code": None, "error_message": None}
    if after.rules != edit.before.rules or drop_unmatched:
        values["drop_unmatched"] = drop_unmatched
    if edit.moves or "drop_unmatched" in values:
        values["sweep_wanted"] = True
    with database.write() as session:
        archives.change(session, archives.get(session, after.name).id, **values)
    log.info("archive %s is edited: %s", after.name, ", ".join(edit.changed) or "nothing")


def _kind(before: ArchiveKind, address: str) -> ArchiveKind:
    """What is spoken at this address, as far as it tells: one that spoke DIMSE speaks DICOMweb at a URL."""
    if is_node(address):
        return ArchiveKind.DIMSE
    return ArchiveKind.DICOMWEB if is_url(address) and before is ArchiveKind.DIMSE else before


def _before(row: tables.Archive, settings: Settings, changes: Mapping[str, Any]) -> Connection:
    """How it is reached now. Credentials need not be readable any more where others are given as a whole."""
    try:
        return connection_of(row, settings)
    except BadRequest:
        if any(all(name in changes for name in way if name != "scope") for way in WAYS.values()):
            return Connection.of(row.name, row.kind, row.address, row.options, {})
        raise


def _credentials(before: Credentials, changes: Mapping[str, Any]) -> Credentials:
    given = {name: value for name, value in changes.items() if name in CREDENTIALS}
    if not given:
        return before
    if given.get("username") == "":
        given["password"] = ""
    ways = [name for way in WAYS.values() if set(way) & given.keys() for name in way]
    return replace(Credentials(), **{name: getattr(before, name) for name in ways} | given)


def _refuse_another_host(before: Connection, after: Connection, changes: Mapping[str, Any]) -> None:
    """Whoever may edit an archive need not know its password: it must not be sent to where they like."""
    moved = _host(before.address) != _host(after.address)
    asked = _host(before.credentials.token_url) != _host(after.credentials.token_url)
    kept = [name for name in SECRETS if getattr(after.credentials, name) and name not in changes]
    if kept and (moved or (asked and "client_secret" in kept)):
        raise BadRequest(
            f"{after.name} would be another host, which is not told what is kept for the one before.",
            f"Give this again, too: {', '.join(kept)}.",
        )


def _host(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return (parts.scheme, parts.netloc) if parts.netloc else ("", address)


def _flat(connection: Connection) -> dict[str, Any]:
    options = {name: value for name, value in connection.options().items() if name != "rules"}
    told = {"kind": connection.kind, "address": connection.address, **options}
    return {**told, **asdict(connection.rules), **asdict(connection.credentials)}
