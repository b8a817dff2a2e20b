"""What a request carries beside its files, checked by the API's schemas: forms and JSON alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal

from flask import request
from marshmallow import Schema, ValidationError
from webargs.multidictproxy import MultiDictProxy
from werkzeug import exceptions
from werkzeug.datastructures import MultiDict

from cbmir.errors import BadRequest

NOTHING: Mapping[str, str] = MappingProxyType({})


def from_form(schema: Schema, aside: Collection[str] = (), wording: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """The form's fields; those that the schema does not know, such as its token, are ignored.

    Args:
        schema: what may be said.
        aside: fields that are left out, whatever was typed.
        wording: what the form calls its fields, where that is something else.

    Raises:
        cbmir.errors.BadRequest: naming each field that is wrong.
    """
    said = MultiDict([each for each in request.form.items(multi=True) if each[0] not in aside])
    return _loaded(schema, MultiDictProxy(said, schema), unknown="exclude", wording=wording)


def from_request(schema: Schema) -> dict[str, Any]:
    """The fields of a JSON document or of a form; unknown ones are refused.

    Raises:
        cbmir.errors.BadRequest: naming each field that is wrong.
        werkzeug.exceptions.BadRequest: for a body that is no JSON though it says so.
    """
    if request.is_json:
        return _loaded(schema, _document())
    return _loaded(schema, MultiDictProxy(request.form, schema))


def from_query(schema: Schema) -> dict[str, Any]:
    """The parameters of the address; those that the schema does not know are ignored.

    Raises:
        cbmir.errors.BadRequest: naming each parameter that is wrong.
    """
    return _loaded(schema, MultiDictProxy(request.args, schema), unknown="exclude")


def sentence(messages: Any, wording: Mapping[str, str] = NOTHING) -> str:
    """What marshmallow found wrong, in one line: `epochs: Must be greater than or equal to 1.`"""
    if not isinstance(messages, dict):
        return _flat(messages)
    return " ".join(_about(wording.get(name, name), said) for name, said in messages.items())


def _loaded(
    schema: Schema, given: Any, unknown: Literal["exclude"] | None = None, wording: Mapping[str, str] = NOTHING
) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(given, unknown=unknown)
    except ValidationError as error:
        raise BadRequest(sentence(error.messages, wording)) from error
    return loaded


def _document() -> Any:
    try:
        return request.get_json()
    except exceptions.BadRequest as error:
        raise exceptions.BadRequest("The body is not valid JSON.") from error


def _about(name: str, said: Any) -> str:
    """Of one field, or of the document as a whole, which marshmallow finds wrong only where it is no object."""
    return "The body is no JSON object." if name == "_schema" else f"{name}: {_flat(said)}"


def _flat(said: Any) -> str:
    if isinstance(said, dict):
        return " ".join(_flat(each) for each in said.values())
    return " ".join(map(str, said)) if isinstance(said, list) else str(said)
