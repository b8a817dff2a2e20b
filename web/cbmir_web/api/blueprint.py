"""What every part of the API is made of: flask-smorest's blueprint, whose JSON the application reads."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Request
from marshmallow import RAISE, Schema, missing
from webargs.flaskparser import FlaskParser


class Parser(FlaskParser):
    """webargs' own would read JSON in its own way, and break off at what is nested without end."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body's document, or `missing` where there is none."""
        return req.get_json() if req.is_json and req.get_data() else missing


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A part of the API; it refuses parameters that it does not know: a misspelt filter would let all through."""

    ARGUMENTS_PARSER = Parser(unknown=RAISE)
