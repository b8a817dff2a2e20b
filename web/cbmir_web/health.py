"""For machines that watch: whether the process lives, whether it can work, how much of everything there is."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

import cbmir_migrations
from cbmir.errors import CbmirError
from cbmir_web.installation import Installation, installation
from cbmir_web.metrics import Archive
from cbmir_workers import client

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> dict[str, str]:
    """200 while the process answers at all."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> Response:
    """200 if the database is of this version and the broker answers; 503 with the reasons otherwise."""
    here = installation()
    reasons = [reason for reason in (_database(here), _broker(here)) if reason]
    response = jsonify({"status": "not ready" if reasons else "ready", "reasons": reasons})
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return response


def _database(here: Installation) -> str:
    try:
        state = cbmir_migrations.state(here.settings.resolved_database_url)
    except CbmirError as error:
        return error.sentence
    return "" if state == "current" else f"The database's schema is {state}. Run `cbmir db upgrade`."


def _broker(here: Installation) -> str:
    state = client.broker_state(here.broker)
    if state.cannot_write:
        return "The broker cannot write to its disk. Free space there."
    return "" if state.reachable else "The broker does not answer. Start the workers with `cbmir up`."


@blueprint.get("/metrics")
def metrics() -> Response:
    """Counts for Prometheus: of requests since the start, of the archive as the database has it now."""
    archive = CollectorRegistry()
    archive.register(Archive(installation().database, installation().settings))
    body = generate_latest(current_app.extensions["cbmir-requests"]) + generate_latest(archive)
    return Response(body, content_type=CONTENT_TYPE_LATEST)
