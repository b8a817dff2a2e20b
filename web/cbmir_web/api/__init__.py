"""The REST API, version 1, and its description in OpenAPI 3."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_smorest import Api

from cbmir_web.api import (
    archives,
    documentation,
    encoders,
    explain,
    export,
    images,
    ingest,
    jobs,
    quarantine,
    query,
)
from cbmir_web.api.schemas import ErrorSchema
from cbmir_web.security import csrf

PREFIX = "/api/v1"
ROOMS = (query, explain, ingest, jobs, encoders, images, quarantine, export, archives)
DESCRIPTION = """Find, in an archive of medical images, those that look like this one.

What takes time is a job: the call answers 202 with the job, whose `state` can be asked for at `/api/v1/jobs/{id}`.
Every error has the shape `{"error": {"code", "reason", "remedy"}}`; `code` is stable."""


class QuietApi(Api):  # type: ignore[misc]
    """flask-smorest with our shape of errors, which `cbmir_web.errors` gives them."""

    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """None: the application has its own."""


def install(app: Flask) -> None:
    """Add the API to the application. Programs have no form's token: other sites are refused by their headers."""
    api = QuietApi(app, spec_kwargs=_description(app))
    for room in ROOMS:
        csrf.exempt(room.blueprint)
        api.register_blueprint(room.blueprint, url_prefix=PREFIX)
    app.register_blueprint(documentation.blueprint)


def _description(app: Flask) -> dict[str, Any]:
    asks = bool(app.extensions["cbmir"].settings.password)
    basic = {"components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}}}
    return {
        "info": {"description": DESCRIPTION, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        **({**basic, "security": [{"basic": []}]} if asks else {}),
    }
