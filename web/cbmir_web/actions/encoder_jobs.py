"""From a form or a request to the jobs that train an encoder, extract its features, evaluate and free it."""

from __future__ import annotations

from typing import Any

from cbmir.services.encoders.versions.free import size
from cbmir.services.evaluation import checks
from cbmir.store import encoders
from cbmir.store.tables import Job
from cbmir.training.request import TrainingRequest
from cbmir.types import JobKind
from cbmir_web.installation import Installation


def train(here: Installation, asked: dict[str, Any]) -> Job:
    """Queue a training.

    Raises:
        cbmir.errors.BadRequest: if a value is out of its range.
    """
    return here.enqueue(JobKind.TRAIN, TrainingRequest.usual(**asked).as_json())


def extract(here: Installation, asked: dict[str, Any]) -> Job:
    """Queue the extraction of what an encoder lacks.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
    """
    return here.enqueue(JobKind.EXTRACT, {"encoder": known(here, asked["encoder"])})


def evaluate(here: Installation, asked: dict[str, Any]) -> Job:
    """Queue an evaluation, of encoders that exist and by a label that images have.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.BadRequest: if no image has the label, or an encoder is compared with itself.
    """
    encoder, against = known(here, asked["encoder"]), known(here, asked["against"]) if asked["against"] else None
    with here.database.read() as session:
        checks.check(session, asked["label"], asked["by"], encoder, against)
    return here.enqueue(JobKind.EVALUATE, {**asked, "encoder": encoder, "against": against})


def free(here: Installation, encoder_id: str) -> Job:
    """Queue the deletion of an encoder's features.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if it is in use.
    """
    with here.database.read() as session:
        size(session, encoder_id)
    return here.enqueue(JobKind.FREE, {"encoder": encoder_id})


def known(here: Installation, encoder_id: str | None) -> str:
    """The id of the encoder meant: the one in use where none is named.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with here.database.read() as session:
        return encoders.resolve(session, encoder_id).id
