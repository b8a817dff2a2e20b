"""The blueprint that the API's modules are made of."""

from __future__ import annotations

import flask_smorest
from marshmallow import RAISE
from webargs.flaskparser import FlaskParser


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """flask-smorest's, which refuses parameters that it does not know: a misspelt filter would let all through."""

    ARGUMENTS_PARSER = FlaskParser(unknown=RAISE)
