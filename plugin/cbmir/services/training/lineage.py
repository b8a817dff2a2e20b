"""What an encoder has seen: in its own training, and in those of the encoders that it came from. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from cbmir.encoders import efficientnet_lite, shipped
from cbmir.errors import BadRequest
from cbmir.store import encoders, training
from cbmir.store.tables import Encoder
from cbmir.training.request import DEFAULT, PHOTOGRAPHS, TrainingRequest
from cbmir.types import Part

STRONGEST_LAST = (Part.TEST, Part.VALIDATION, Part.TRAIN)
"""A group that two trainings had in two parts counts as seen."""


@dataclass(frozen=True)
class Seen:
    """What is known of an encoder's trainings.

    Attributes:
        parts: of each group by its row id, in any of the trainings; of several parts the one that saw it most. A
            group that is absent came later, or was never theirs.
        recorded: whether this is on record at all; not so of a network that was trained elsewhere.
        inherited: whether it came from an encoder of which this is on record.
    """

    parts: dict[int, Part]
    recorded: bool
    inherited: bool


def of(session: Session, encoder: Encoder) -> Seen:
    """What an encoder has seen.

    Raises:
        cbmir.errors.NotFound: if the installation lacks the files of the encoder that comes with the product.
    """
    found = list(_each(session, encoder.id, encoder.training))
    known = [parts for parts in found if parts is not None]
    return Seen(strongest(*known), bool(known), any(parts is not None for parts in found[1:]))


def of_start(session: Session, request: TrainingRequest) -> dict[int, Part]:
    """The parts, by row id, of groups that the encoder has seen which a training starts from.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.BadRequest: if it is of another architecture.
    """
    if request.architecture != efficientnet_lite.NAME or request.start == PHOTOGRAPHS:
        return {}
    if request.start == DEFAULT:
        return _shipped(session)
    return of(session, _of_same_kind(encoders.get(session, request.start), request.architecture)).parts


def _of_same_kind(start: Encoder, architecture: str) -> Encoder:
    if start.architecture != architecture:
        raise BadRequest(
            f"A training of {architecture} cannot start from {start.id}, which is of another architecture.",
            f"Start from `{DEFAULT}`, `{PHOTOGRAPHS}`, or an {architecture} of your own: see `cbmir encoders`.",
        )
    return start


def strongest(*several: Mapping[int, Part]) -> dict[int, Part]:
    """The parts of groups in several trainings, each group once: trained on before validated with before tested."""
    found: dict[int, Part] = {}
    for part in STRONGEST_LAST:
        found |= {group: each for parts in several for group, each in parts.items() if each is part}
    return found


def _each(session: Session, encoder_id: str, how: Mapping[str, Any]) -> Iterator[dict[int, Part] | None]:
    """The parts of an encoder and of each that it came from; None of one whose training is not on record."""
    own = encoders.parts(session, encoder_id)
    comes_with_us = shipped.split().is_of(how)
    yield strongest(own, _shipped(session)) if comes_with_us else own or None
    if how.get("start") == DEFAULT and "start_sha256" in how:
        yield _shipped(session)
    elif before := _before(how):
        row = session.get(Encoder, before)
        yield from _each(session, before, row.training if row else {})


def _before(how: Mapping[str, Any]) -> str | None:
    """The id of the encoder that one came from."""
    if "in_8_bits" in how:
        return str(how["in_8_bits"]["from"])
    if how.get("start", PHOTOGRAPHS) == PHOTOGRAPHS or "start_sha256" not in how:  # other trainings start from none
        return None
    return f"{efficientnet_lite.NAME}-{how['start_sha256'][:8]}"


def _shipped(session: Session) -> dict[int, Part]:
    """The parts of groups that hold a picture of the training of the encoder that comes with the product. Those of
    earlier versions were trained on the same."""
    split = shipped.split()
    held: dict[Part, set[int]] = {part: set() for part in Part}
    for group, *hashes in training.pictures(session):
        for part in filter(None, map(split.part, hashes)):
            held[part].add(group)
    return strongest(*(dict.fromkeys(groups, part) for part, groups in held.items()))
