"""The shapes of the REST API that tell of archives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate

from cbmir.archive.connection import RULE_DAYS, RULE_LISTS, ArchiveKind, Connection, Credentials, Retrieval, Rules
from cbmir_web.api.schemas import Input, Whole, filled

MOST_IDS = 1000
DOCUMENTS = ("kos", "sr")
ORTHANC_ID = validate.Regexp(r"^[0-9a-f]{8}(-[0-9a-f]{8}){4}$(?!\n)", error="Not an id of Orthanc's.")
TEXT = validate.Length(max=2048)
AE_TITLE = validate.Regexp(r"^[ -\[\]-~]{1,16}$(?!\n)", error="An AE title has 1 to 16 characters (PS3.5 6.2).")


def _without_password(address: str) -> None:
    try:
        known = urlsplit(address)
    except ValueError as error:
        raise ValidationError("Not an address.") from error
    if known.scheme in ("http", "https") and "@" in known.netloc:
        raise ValidationError("Name and password do not belong in the address: they have fields of their own.")


def _date(text: str) -> None:
    try:
        datetime.strptime(text.replace("-", ""), "%Y%m%d")
    except ValueError as error:
        raise ValidationError("Not a date, such as 2026-01-31.") from error


def _codes() -> fields.List[str]:
    return fields.List(fields.String(validate=TEXT), metadata={"example": ["CT", "MR"]})


def _documents() -> fields.List[str]:
    return fields.List(
        fields.String(validate=validate.OneOf(DOCUMENTS)),
        load_default=list(DOCUMENTS),
        validate=validate.Length(min=1),
        metadata={"description": "A key object selection, a structured report, or both."},
    )


class ReportSchema(Input):
    query = fields.String(
        required=True, validate=TEXT, metadata={"description": "Id of the job that gave the answer."}
    )
    kinds = _documents()


class DestinationSchema(Input):
    archive = fields.String(required=True, validate=TEXT)
    kinds = _documents()


def _address(*, required: bool) -> fields.String:
    return fields.String(
        required=required,
        validate=[TEXT, _without_password],
        metadata={"description": "A base URL, or AE@HOST:PORT.", "example": "http://pacs:8042"},
    )


def _file(what: str) -> fields.String:
    where = "Name of a PEM file in the folder `certificates` of the installation's data."
    return fields.String(validate=TEXT, metadata={"description": f"{what} {where}", "example": "ca.pem"})


class DescriptionSchema(Input):
    """How an archive is reached, and what of it is wanted."""

    kind = fields.String(
        validate=validate.OneOf([kind.value for kind in ArchiveKind]),
        metadata={"description": "Found out by itself where it is not said."},
    )
    username = fields.String(validate=TEXT)
    password = fields.String(validate=TEXT, load_only=True)
    token = fields.String(validate=validate.Length(max=8192), load_only=True)
    token_url = fields.String(validate=[TEXT, _without_password])
    client_id = fields.String(validate=TEXT)
    client_secret = fields.String(validate=TEXT, load_only=True)
    scope = fields.String(validate=TEXT)
    authority = _file("Of the authority that signed the archive's certificate.")
    certificate = _file("Our own certificate.")
    key = _file("Its private key, without a password.")
    modalities = _codes()
    without_modalities = _codes()
    body_parts = _codes()
    since = fields.String(validate=_date, metadata={"description": "First Study Date.", "example": "2020-01-01"})
    until = fields.String(validate=_date)
    tls = fields.Boolean()
    calling_aet = fields.String(validate=AE_TITLE)
    retrieve = fields.String(validate=validate.OneOf([each.value for each in Retrieval]))
    move_aet = fields.String(validate=AE_TITLE)
    parallel = Whole(validate=validate.Range(min=1, max=64))
    requests_per_second = fields.Float(validate=validate.Range(min=0, max=1e6))
    timeout_seconds = fields.Float(validate=validate.Range(min=1, max=3600))
    recheck_days = Whole(
        validate=validate.Range(min=0, max=3650),
        metadata={"description": "Fetch each study again within so many, if the archive has no digests; 0: never."},
    )
    viewer = fields.URL(
        schemes={"http", "https"},
        require_tld=False,
        error_messages={"invalid": "Not a URL of the web."},
        metadata={"description": "With {study}, {series}, {instance}, {remote} in it."},
    )
    untested = fields.Boolean(
        load_default=False, metadata={"description": "Take it as it is described, though it cannot be reached."}
    )

    @post_load
    def flatten(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """A form gives codes in one text, `CT, MR`, and dates with dashes."""
        for name in (name for name in RULE_LISTS if data.get(name)):
            codes = (code.strip().upper() for text in data[name] for code in text.split(","))
            data[name] = tuple(code for code in codes if code)
        return data | {name: data[name].replace("-", "") for name in RULE_DAYS if data.get(name)}


NEVER_NULL = ("address", "kind", "password", "token", "client_secret")
"""What is not set back by an empty field: a form does not show secrets, and so sends them empty."""

DEFAULTS = {
    "untested": False,
    "drop_unmatched": False,
    **{
        each.name: each.default
        for described in (Connection, Credentials, Rules)
        for each in dataclasses.fields(described)
        if each.default is not dataclasses.MISSING
    },
}


class NewArchiveSchema(DescriptionSchema):
    name = fields.String(required=True, validate=TEXT)
    address = _address(required=True)


class ArchiveChangesSchema(DescriptionSchema):
    """What is not named stays; what is null or empty is set back, but for a secret, which stays then, too."""

    address = _address(required=False)
    drop_unmatched = fields.Boolean(
        load_default=False,
        metadata={"description": "Delete here what came from it and is not wanted any more; else that stays."},
    )

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Let each be null, for what `NewArchiveSchema` takes where it is left out."""
        field_obj.allow_none = True

    @pre_load
    def drop_empty(self, data: Any, **_: Any) -> Any:
        """Empty fields of a form are null; secrets that are not given are absent."""
        if not isinstance(data, Mapping):
            return data
        given = {name: None if filled(value) in ("", []) else filled(value) for name, value in data.items()}
        return {name: value for name, value in given.items() if value is not None or name not in NEVER_NULL}

    @post_load
    def set_back(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Null is what the field is by default."""
        return {name: DEFAULTS[name] if value is None else value for name, value in data.items()}


class TroubleSchema(Schema):
    sop_instance_uid = fields.String(required=True)
    study_instance_uid = fields.String(required=True)
    error_code = fields.String(required=True)
    error_message = fields.String(required=True, metadata={"description": "With what to do."})
    attempts = fields.Integer(required=True, metadata={"description": "How often it was asked for."})
    retry_at = fields.DateTime(required=True, metadata={"description": "When it is asked for again."})


class ArchiveSchema(Schema):
    name = fields.String(required=True)
    kind = fields.String(required=True)
    address = fields.String(required=True)
    paused = fields.Boolean(required=True)
    connected = fields.Boolean(required=True, allow_none=True, metadata={"description": "Null: not asked yet."})
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True, metadata={"description": "With what to do."})
    checked_at = fields.DateTime(required=True, allow_none=True)
    changed_at = fields.DateTime(required=True, allow_none=True, metadata={"description": "Its last change."})
    swept_at = fields.DateTime(required=True, allow_none=True, metadata={"description": "Last compared whole."})
    behind = fields.Integer(required=True, metadata={"description": "Objects still to be fetched."})
    held = fields.Integer(required=True)
    skipped = fields.Integer(
        required=True, metadata={"description": "Not wanted, or nothing to show, which the quarantine lists, too."}
    )
    set_aside = fields.Integer(required=True, metadata={"description": "Cannot be used."})
    deleted = fields.Integer(required=True, metadata={"description": "Gone there, and so here."})
    troubled = fields.Integer(required=True, metadata={"description": "Of those behind, which could not be had."})
    troubles = fields.List(
        fields.Nested(TroubleSchema), required=True, metadata={"description": "The first 20 of these."}
    )


class BacklogSchema(Schema):
    objects = fields.Integer(required=True, metadata={"description": "Received, and not recorded yet."})
    since = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When the first of them came."}
    )
    at_work = fields.Boolean(
        required=True, metadata={"description": "Whether a worker lives that records them, in its turn."}
    )


class ArchivesSchema(Schema):
    archives = fields.List(fields.Nested(ArchiveSchema), required=True)
    received = fields.Nested(BacklogSchema, required=True)


class CheckSchema(Schema):
    what = fields.String(required=True)
    fine = fields.Boolean(required=True)
    said = fields.String(required=True)
    remedy = fields.String(required=True)


class ChecksSchema(Schema):
    checks = fields.List(fields.Nested(CheckSchema), required=True)
    fine = fields.Boolean(required=True)


class ComparisonSchema(Input):
    again = fields.Boolean(
        load_default=False, metadata={"description": "Fetch everything again, also what seems unchanged."}
    )
    accept_deletions = fields.Boolean(
        load_default=False, metadata={"description": "Believe an archive that lists hardly anything any more."}
    )


class RemovalSchema(Input):
    images = fields.String(required=True, validate=validate.OneOf(["keep", "delete"]))


class RemovedSchema(Schema):
    deleted = fields.Integer(required=True, metadata={"description": "Images that were deleted here."})


class EventsSchema(Input):
    stored = fields.List(fields.String(validate=ORTHANC_ID), load_default=list)
    deleted = fields.List(fields.String(validate=ORTHANC_ID), load_default=list)
    lost = fields.Boolean(
        load_default=False, metadata={"description": "The script had more to tell: compare the archive whole."}
    )

    @post_load
    def bound(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Refuse more than is taken at once."""
        if len(data["stored"]) + len(data["deleted"]) > MOST_IDS:
            raise ValidationError(f"More than {MOST_IDS} ids in one call.", "stored")
        return data


class NoticedSchema(Schema):
    stored = fields.Integer(required=True)
    deleted = fields.Integer(required=True)
