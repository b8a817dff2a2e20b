"""Trained encoders: added, found, chosen, with the split they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from cbmir.errors import EncoderMismatch, EncoderNotReady, NotFound
from cbmir.store import activations, frames
from cbmir.store.tables import Encoder, GroupPart
from cbmir.store.writing import insert_new
from cbmir.types import Part


def add(
    session: Session,
    *,
    id: str,
    architecture: str,
    weights_file: str,
    weights_sha256: str,
    dimension: int,
    preprocessing: Mapping[str, Any],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    kept: bool = True,
) -> Encoder:
    """Store a trained encoder; where its very weights are stored already, that row is brought up to date.

    It answers at once where no other could (`cbmir.store.activations.begin`), else it stands beside the active one.

    Args:
        session: one that writes.
        id: architecture and the first digits of the weights' SHA-256.
        architecture: a name in the registry of encoders.
        weights_file: name within the weights folder; empty where the weights are elsewhere.
        weights_sha256: of that file, 64 hexadecimal digits.
        dimension: numbers in a feature.
        preprocessing: what is done to a picture first.
        training: what is needed to train it again.
        metrics: what it reached; a stored row keeps its evaluations.
        kept: whether pictures are to get features of it; of a stored row that stays as it is.

    Raises:
        cbmir.errors.EncoderMismatch: if the id is taken by other weights, another dimension or preprocessing.
    """
    row = session.get(Encoder, id) or Encoder(
        id=id, weights_sha256=weights_sha256, dimension=dimension, generation=0, metrics={}, kept=kept
    )
    if (row.weights_sha256, row.dimension) != (weights_sha256, dimension):
        raise EncoderMismatch(f"The encoder {id} is stored with other weights.")
    if row.preprocessing not in (None, preprocessing):
        raise EncoderMismatch(
            f"The encoder {id} is stored with another preprocessing, of which its features are.",
            "Give the same as then, or add this one under a name of its own: `--name`.",
        )
    row.architecture = architecture
    row.weights_file = weights_file or row.weights_file or ""
    row.preprocessing, row.training = dict(preprocessing), dict(training)
    row.metrics = {**row.metrics, **metrics}
    session.add(row)
    session.flush()
    activations.begin(session, row.id)
    return row


def get(session: Session, id: str) -> Encoder:
    """The encoder of this id.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    row = session.get(Encoder, id)
    if row is None:
        raise NotFound(f"There is no encoder {id}.", "See `cbmir encoders`.")
    return row


def resolve(session: Session, id: str | None) -> Encoder:
    """The encoder asked for; without an id the active one.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    if id is not None:
        return get(session, id)
    newest = select(Encoder).order_by(Encoder.created_at.desc(), Encoder.id).limit(1)
    row = activations.active(session) or session.scalar(newest)
    if row is None:
        raise NotFound("There is no encoder yet.", "Train one: `cbmir train`.")
    return row


def usable(session: Session, id: str | None) -> Encoder:
    """As `resolve`, for who needs its features.

    Raises:
        cbmir.errors.NotFound: if there is none.
        cbmir.errors.EmptyGallery: if there is no image that it could have features of.
        cbmir.errors.EncoderNotReady: if its features were freed, or are about to be (what is left is a part), or
            were never asked for.
    """
    row = resolve(session, id)
    if not row.kept and not was_extracted(row):
        if not frames.any_stored(session):
            raise frames.none_stored()
        raise EncoderNotReady(
            f"No image has a feature of the encoder {row.id} yet.", f"Run `cbmir extract --encoder {row.id}`."
        )
    if not row.kept:
        raise EncoderNotReady(
            f"The features of the encoder {row.id} were freed.",
            f"Run `cbmir extract --encoder {row.id}`, or use another encoder.",
        )
    return row


def was_extracted(encoder: Encoder) -> bool:
    """Whether there ever was a feature of it."""
    return encoder.generation > 0


def listing(session: Session) -> list[Encoder]:
    """All encoders, newest first."""
    return list(session.scalars(select(Encoder).order_by(Encoder.created_at.desc(), Encoder.id)))


def kept(session: Session) -> list[Encoder]:
    """The encoders whose features new pictures get: the active one first, then the others, oldest first.

    Raises:
        cbmir.errors.NotFound: if there is no encoder at all.
    """
    active = resolve(session, None)
    rows = session.scalars(select(Encoder).where(Encoder.kept).order_by(Encoder.created_at, Encoder.id))
    return [active, *(row for row in rows if row.id != active.id)]


def set_kept(session: Session, id: str, kept: bool) -> None:
    """Say whether new pictures get features of this encoder.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
    """
    if not session.scalar(update(Encoder).where(Encoder.id == id).values(kept=kept).returning(Encoder.id)):
        get(session, id)


def set_parts(session: Session, encoder_id: str, parts: Mapping[int, Part]) -> None:
    """Keep in which part of the split each group (by row id) stood; replaces what was kept before."""
    session.execute(delete(GroupPart).where(GroupPart.encoder_id == encoder_id))
    rows = [{"encoder_id": encoder_id, "group_id": group, "part": part.value} for group, part in parts.items()]
    insert_new(session, GroupPart, rows)


def parts(session: Session, encoder_id: str) -> dict[int, Part]:
    """Group's row id -> its part in the encoder's training; groups that came later are absent."""
    statement = select(GroupPart.group_id, GroupPart.part).where(GroupPart.encoder_id == encoder_id)
    return {group: Part(part) for group, part in session.execute(statement)}


def record_evaluation(session: Session, encoder_id: str, evaluation: Mapping[str, Any]) -> None:
    """Append an evaluation to the encoder's metrics.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
    """
    row = session.get(Encoder, encoder_id, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no encoder {encoder_id}.")
    row.metrics = {**row.metrics, "evaluations": [*row.metrics.get("evaluations", []), dict(evaluation)]}
    session.flush()
