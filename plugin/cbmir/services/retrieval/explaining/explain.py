"""The use case: why this hit? Of an answer that is kept, or of a question asked for the occasion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.retrieval.explaining.kept import hit_of
from cbmir.services.retrieval.explaining.maps import Maps, explain
from cbmir.services.retrieval.retrieve import Question, handed_in, subject_of
from cbmir.services.retrieval.subject import representative
from cbmir.settings import Settings
from cbmir.store import encoders, instances, tables
from cbmir.store.session import Database
from cbmir.types import ByteArray


@dataclass(frozen=True)
class Explained:
    """Two pictures and what makes them alike.

    Attributes:
        encoder: id of the encoder that was asked.
        maps: the heat maps.
        query, hit: the pictures: uint8, shape (rows, columns) or (rows, columns, 3).
        hit_frame_id: the archive's frame that the hit is.
        hit_name: its file name.
    """

    encoder: str
    maps: Maps
    query: ByteArray
    hit: ByteArray
    hit_frame_id: int
    hit_name: str

    def as_json(self) -> dict[str, Any]:
        """`encoder`; `distance`; `query` and `hit`, each with `map`, 16 rows of 16 numbers, by how much the
        distance grows when that part of it is covered, among others that are; `deletion`, that map put to the test;
        and `reconstruction`, a PNG in base64 or None."""
        return {
            "encoder": self.encoder,
            "distance": self.maps.distance,
            "query": self.maps.query.as_json(),
            "hit": {"frame_id": self.hit_frame_id, "file_name": self.hit_name, **self.maps.hit.as_json()},
        }


def explain_answer(database: Database, settings: Settings, query: str, frame_id: int) -> dict[str, Any]:
    """Why a kept answer has a hit.

    Args:
        database: the installation's.
        settings: the installation's.
        query: id of the job that answered.
        frame_id: the hit's frame.

    Returns:
        As `Explained.as_json`; besides `names`, the UIDs by which the result is found when an image is deleted.

    Raises:
        cbmir.errors.NotFound: if the answer, the hit, a picture or the encoder's weights are not here (any more).
        cbmir.errors.WeightsMismatch: if the weights file is not the recorded one.
    """
    shelf = Shelf(settings.pictures)
    with database.read() as session:
        asked, frame = hit_of(session, query, frame_id)
        encoder, key = encoders.get(session, asked.encoder_id), asked.picture
        names = _names(frame.instance) | _names_of_query(session, asked)
    explained = _explained(encoder, settings, shelf.get(key), frame, shelf)
    return {**explained.as_json(), "names": sorted(names)}


def explain_question(
    database: Database, settings: Settings, question: Question, hit: int | str, isolation: Isolation | None = None
) -> Explained:
    """Why an image of the archive is as near to a question's picture as it is, whether or not it is among its hits.

    Args:
        database: the installation's.
        settings: the installation's.
        question: whose picture and encoder count.
        hit: id of a frame, or a SOP Instance UID: then its middle frame.
        isolation: where a file that is handed in is converted; None is this process.

    Raises:
        as `explain_answer` and `cbmir.services.retrieval.retrieve.retrieve`.
    """
    shelf = Shelf(settings.pictures)
    converted = handed_in(question, settings, isolation)
    with database.read() as session:
        subject = subject_of(session, question, converted, settings)
        encoder = encoders.resolve(session, question.encoder_id)
        frame = _frame(session, hit)
        pixels = shelf.get(subject.picture) if subject.pixels is None else subject.pixels
    return _explained(encoder, settings, pixels, frame, shelf)


def _explained(
    encoder: tables.Encoder, settings: Settings, query: ByteArray, frame: tables.Frame, shelf: Shelf
) -> Explained:
    hit = shelf.get(frame.picture)
    maps = explain(encoder, settings, query, hit)
    return Explained(encoder.id, maps, query, hit, frame.id, frame.instance.file_name)


def _frame(session: Session, hit: int | str) -> tables.Frame:
    if isinstance(hit, int):
        return instances.frame(session, hit)
    found = instances.frames_of(session, hit)
    if not found:
        raise NotFound(
            f"There is no object {hit} in the archive.",
            "It may have been removed; a search gives those there (`cbmir query --json`).",
        )
    return representative(found, None, hit)


def _names(instance: tables.Instance) -> set[str]:
    return {instance.study_instance_uid or "", instance.sop_instance_uid or ""} - {""}


def _names_of_query(session: Session, asked: tables.Query) -> set[str]:
    described = (session.get_one(tables.Job, asked.job_id).result or {}).get("query", {})
    return {described.get("study_instance_uid") or "", described.get("sop_instance_uid") or ""} - {""}
