"""The application factory."""

from __future__ import annotations

import tempfile
from typing import IO, Any, NoReturn

import orjson
from flask import Flask, Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest
from werkzeug.routing import IntegerConverter, Map

from cbmir import __version__
from cbmir.settings import Settings, refuse_open_door
from cbmir_web import api, errors, health, heatmaps, installation, logs, pages, pictures, presenting, security

MOST_PARTS = 20_000
"""Files in one upload: a study of a whole-body CT has a few thousand objects."""

SPOOL_BYTES = 512 * 1024
"""Uploaded files above this size wait on disk, not in memory, until they are kept."""


class Json(DefaultJSONProvider):
    """Written as Flask does; read strictly (RFC 8259), and nothing that is nested without end."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The document; a ValueError where it is none."""
        return orjson.loads(s)


class UploadRequest(Request):
    """A request whose uploads are spooled on the disk where they will be kept, which has the room for them."""

    spool_folder: str | None = None

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=self.spool_folder)

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Say so in one way, whatever reads the body."""
        raise BadRequest("The body is no JSON that can be read.") from e


class RowId(IntegerConverter):
    """A number in an address, no larger than the databases' own: beyond there is nothing to be found."""

    def __init__(self, url_map: Map, max: int = 2**31 - 1, **how: Any) -> None:
        super().__init__(url_map, max=max, **how)


def create_app(settings: Settings) -> Flask:
    """The WSGI application of one installation.

    Raises:
        cbmir.errors.BadRequest: if it would be reachable from other machines without a password.
    """
    refuse_open_door(settings)
    app = Flask(__name__)
    app.json = Json(app)
    app.url_map.converters["int"] = RowId
    app.extensions["cbmir"] = installation.make(settings)
    _configure(app, settings)
    logs.install(app)
    security.install(app, settings)
    errors.install(app)
    presenting.install(app)
    for blueprint in (pages.blueprint, pictures.blueprint, heatmaps.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    api.install(app)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    settings.uploads.mkdir(parents=True, exist_ok=True)
    app.request_class = type("SpoolingRequest", (UploadRequest,), {"spool_folder": str(settings.uploads)})
    app.secret_key = security.session_key(settings)
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_PARTS=MOST_PARTS,
        TRUSTED_HOSTS=security.trusted_hosts(settings),
        SESSION_COOKIE_NAME=security.session_cookie(settings),
        WTF_CSRF_TIME_LIMIT=None,  # in a reading room a page stays open all day; the token ends with the session
        PROPAGATE_EXCEPTIONS=False,
        API_TITLE="cbmir",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/api",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # as the command line gives it
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
