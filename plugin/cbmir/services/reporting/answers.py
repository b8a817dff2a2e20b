"""An answer as documents need it: the query's object, and the hits by their UIDs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from cbmir import __version__
from cbmir.errors import BadRequest
from cbmir.reports.reference import Origin, Reference
from cbmir.services.retrieval.retrieve import Answer
from cbmir.store import instances, jobs, queries
from cbmir.store.session import Database

UIDS = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")


@dataclass(frozen=True)
class Told:
    """An answer that documents can tell of.

    Attributes:
        origin: what made it.
        query: the object asked about; its class is empty, since only the archive's header says it, and its frame
            is the one that was asked about, also where there is but one.
        hits: those that have UIDs, by rank.
        left_out: of every other hit its rank and why.
    """

    origin: Origin
    query: Reference
    hits: tuple[Reference, ...]
    left_out: tuple[str, ...]


def told(database: Database, answer: str | Answer) -> Told:
    """The answer, kept under the id of its job or just given.

    Raises:
        cbmir.errors.NotFound: if no answer is kept under this id.
        cbmir.errors.BadRequest: if the query is a plain image.
    """
    with database.read() as session:
        if isinstance(answer, Answer):
            found = [hit.as_json() for hit in answer.hits]
            return _told(session, _digest(answer.query, found), answer.encoder, answer.query, found)
        kept = queries.get(session, answer)
        asked = (jobs.get(session, answer).result or {}).get("query", {})
        return _told(session, answer, kept.encoder_id, asked, kept.hits)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _told(
    session: Session, name: str, encoder: str, asked: Mapping[str, Any], found: Sequence[Mapping[str, Any]]
) -> Told:
    if not all(asked.get(each) for each in UIDS):
        raise BadRequest(
            "The query is a plain image, or has no UIDs: there is no study that a document could belong to.",
            "Ask with a DICOM object of the archive.",
        )
    query = Reference(
        asked["study_instance_uid"],
        asked["series_instance_uid"],
        "",
        asked["sop_instance_uid"],
        asked.get("frame_number"),
        labels=asked.get("labels", {}),
    )
    each = [_reference(session, hit) for hit in found]
    hits = tuple(hit for hit in each if isinstance(hit, Reference))
    return Told(Origin(name, encoder, __version__), query, hits, tuple(hit for hit in each if isinstance(hit, str)))


def _reference(session: Session, hit: Mapping[str, Any]) -> Reference | str:
    """The hit, or why no document can refer to it."""
    if not all(hit[each] for each in UIDS):
        return f"Hit {hit['rank']} is a plain image, or has no UIDs."
    instance = instances.find_by_sop_instance_uid(session, hit["sop_instance_uid"])
    if instance is None or not instance.sop_class_uid:
        return f"Hit {hit['rank']} is no longer in the library, or has no SOP Class UID."
    return Reference(
        hit["study_instance_uid"],
        hit["series_instance_uid"],
        instance.sop_class_uid,
        hit["sop_instance_uid"],
        hit["frame_number"] if instance.frame_count > 1 else None,
        hit["rank"],
        hit["distance"],
        hit["labels"],
    )
