"""The main use case: which images of the archive look most like this one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest
from cbmir.index.base import Ranking
from cbmir.pictures.shelf import Shelf
from cbmir.services.conversion.convert import convert_one
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.features.loading import load_encoder
from cbmir.services.retrieval import one_per, subject
from cbmir.services.retrieval.confidence.crowd import AROUND
from cbmir.services.retrieval.confidence.judge import Verdict, judge
from cbmir.services.retrieval.counting import COUNTS
from cbmir.services.retrieval.gallery import GALLERIES
from cbmir.services.retrieval.priors import when
from cbmir.services.retrieval.scope import Scope, only_its_own, scoped
from cbmir.services.retrieval.subject import Subject
from cbmir.settings import Settings
from cbmir.store import encoders, features, frames, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import LARGEST_K, ConvertedObject, FloatArray, Hit, OnePer


@dataclass(frozen=True)
class Question:
    """What is asked: exactly one of `data`, `sop_instance_uid` and `frame_id` says about which picture.

    Attributes:
        k: how many hits, 1 to 1000.
        where: what a hit must be; applied before the search.
        encoder_id: whose features are compared; None means the encoder in use.
        exclude_same_patient: leave out the query's own patient.
        priors: how many images of the own patient's other studies are listed beside the hits; earlier ones, those
            of the same day and later ones have a share each.
        one_per: of what a hit is the best one: of its study or its patient; None lets each image be a hit.
        data: bytes of a DICOM object or an image.
        name: its file name.
        sop_instance_uid: an object of the archive.
        frame_id: a frame of the archive.
        frame_number: which frame of the object or the file, from 1; None means the middle one.
    """

    k: int = 5
    where: Where = field(default_factory=Where)
    encoder_id: str | None = None
    exclude_same_patient: bool = False
    priors: int = 0
    one_per: OnePer | None = None
    data: bytes | None = field(default=None, repr=False)
    name: str = ""
    sop_instance_uid: str | None = None
    frame_number: int | None = None
    frame_id: int | None = None


@dataclass(frozen=True)
class Answer:
    """The hits, nearest first, and what was asked.

    Attributes:
        query: the question as it was understood; see `as_json`.
        encoder: id of the encoder whose features were compared.
        picture: key of the query's picture on the shelf.
        frame_id: the archive's frame that shows this very picture, if one does.
        outdated: how many of the features compared are of pictures that an earlier conversion made.
        missing: how many of the archive's frames have no feature yet, and so were compared with nothing.
        priors: images of the own patient's other studies, nearest first; none where the patient is not known.
        study_date: of the query's study, as far as it is known.
        verdict: whether the hits are similar at all.
        recall: the share of the true 10 nearest that the index finds, as measured when it was made; None where it
            is exact, and so finds all.
    """

    query: dict[str, Any]
    encoder: str
    hits: list[Hit]
    picture: str
    frame_id: int | None
    outdated: int = 0
    missing: int = 0
    priors: list[Hit] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    study_date: date | None = None
    recall: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer as `query --json` and the REST API give it.

        `query` holds `file_name`, the UIDs, `frame_number`, `frame_count` (how many the object has) and `labels`
        as far as they are known; `picture` and `frame_id`; `k`, `where`, `exclude_same_patient` and `one_per` as
        asked; `patient_known`, false where no header and no manifest names the patient, so that images of the same
        one cannot be told; `gallery`, how many frames were searched; and `left_out`, how many of the query's own
        were not. `confidence` and `nothing_similar` are those of
        `cbmir.services.retrieval.confidence.judge.Verdict`. `when` says of each prior whether its study was made
        `before` the query's, on the `same day` or `after` it; null where a date is missing. `recall` is null for
        an exact index.
        """
        return {
            "query": self.query,
            "encoder": self.encoder,
            "confidence": self.verdict.confidence,
            "nothing_similar": self.verdict.nothing_similar,
            "hits": [hit.as_json() for hit in self.hits],
            "priors": [{**hit.as_json(), "when": when(self.study_date, hit.study_date)} for hit in self.priors],
            "outdated": self.outdated,
            "missing": self.missing,
            "recall": self.recall,
        }


def retrieve(
    database: Database, settings: Settings, question: Question, isolation: Isolation | None = None
) -> Answer:
    """The k images nearest to the query's by Euclidean distance of their features; ties in the order of ids.

    The frames of the query's own instance are never among them.

    Args:
        database: the installation's.
        settings: the installation's.
        question: what is asked.
        isolation: where a file that is handed in is converted; None is this process.

    Raises:
        cbmir.errors.BadRequest: if k is out of range, or there is not exactly one picture to ask about.
        cbmir.errors.UnusableInput: if the file cannot be converted; the leaf says why.
        cbmir.errors.NotFound: if there is no such object, frame or encoder, or no archive that the filter names.
        cbmir.errors.EmptyGallery: if nothing is left to search in.
        cbmir.errors.EncoderMismatch: if stored features are not of the encoder's dimension.
    """
    _check(question)
    converted = handed_in(question, settings, isolation)
    with database.read() as session:
        encoder = encoders.usable(session, question.encoder_id)
        gallery = GALLERIES.of(database, session, encoder, settings)
        asked = subject_of(session, question, converted, settings)
        scope = scoped(session, gallery, asked, question.where, question.exclude_same_patient)
        feature = _feature(session, encoder, asked, settings)
        nearest = scope.search(feature, max(question.k, AROUND))
        best = (
            one_per.search(session, scope, feature, question.k, question.one_per) if question.one_per else nearest
        )
        hits = _hits(session, best[: question.k])
        verdict = judge(database, session, settings, gallery, nearest)
        priors = _hits(session, scope.of_own_patient(session, asked, feature, question.priors))
        if scope.size == 0 and not priors:
            raise only_its_own(question.exclude_same_patient)
        missing = max(0, COUNTS.of(database, session, encoder.id, encoder.generation) - len(gallery.index))
    described = _described(question, asked, scope)
    return Answer(
        query=described,
        encoder=encoder.id,
        hits=hits,
        picture=asked.picture,
        frame_id=asked.frame_id,
        outdated=scope.outdated,
        missing=missing,
        priors=priors,
        verdict=verdict,
        study_date=asked.study_date,
        recall=gallery.recall,
    )


def forget(database: Database, settings: Settings, answer: Answer) -> None:
    """Take the query's picture, which is patient data, from the shelf again, unless the archive or a kept query
    shows it too. For those who keep no record of the question."""
    with database.read() as session:
        shown = frames.shows(session, answer.picture)
    if not shown:
        Shelf(settings.pictures).discard(answer.picture)


def handed_in(question: Question, settings: Settings, isolation: Isolation | None) -> ConvertedObject | None:
    """The question's file, converted; None where it asks about an image of the archive.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be converted; the leaf says why.
    """
    if question.data is None:
        return None
    data, name = question.data, question.name
    task = (data, name, settings, hashlib.sha256(data).hexdigest(), question.frame_number)
    return isolation.run(name, len(data), convert_one, *task) if isolation else convert_one(*task)


def _check(question: Question) -> None:
    if not 1 <= question.k <= LARGEST_K:
        raise BadRequest(f"k must be between 1 and {LARGEST_K}, not {question.k}.")
    if not 0 <= question.priors <= LARGEST_K:
        raise BadRequest(f"priors must be between 0 and {LARGEST_K}, not {question.priors}.")
    named = (question.data, question.sop_instance_uid, question.frame_id)
    if sum(each is not None for each in named) != 1:
        raise BadRequest("A query needs one picture.", "Give either a file, a SOP Instance UID, or a frame's id.")


def subject_of(
    session: Session, question: Question, converted: ConvertedObject | None, settings: Settings
) -> Subject:
    """What the question is about; `converted` is what `handed_in` gave.

    Raises:
        cbmir.errors.NotFound: if there is no such object or frame.
    """
    if converted is not None:
        return subject.handed_in(session, converted, question.name, question.frame_number, settings)
    if question.frame_id is not None:
        return subject.archived(session, question.frame_id)
    return subject.archived_object(session, question.sop_instance_uid or "", question.frame_number)


def _feature(session: Session, encoder: tables.Encoder, asked: Subject, settings: Settings) -> FloatArray:
    if asked.frame_id is not None:
        stored = features.vector(session, encoder.id, asked.frame_id)
        if stored is not None:
            return stored
    pixels = Shelf(settings.pictures).get(asked.picture) if asked.pixels is None else asked.pixels
    network = load_encoder(encoder, settings)
    feature: FloatArray = network.encode(network.preprocessing.apply(pixels)[np.newaxis])[0]
    return feature


def _hits(session: Session, ranking: Ranking) -> list[Hit]:
    stored = frames.by_id(session, [frame_id for frame_id, _ in ranking])
    alive = [(stored[frame_id], distance) for frame_id, distance in ranking if frame_id in stored]
    return [_hit(rank, frame, distance) for rank, (frame, distance) in enumerate(alive, 1)]


def _hit(rank: int, frame: tables.Frame, distance: float) -> Hit:
    instance = frame.instance
    return Hit(
        rank=rank,
        distance=distance,
        frame_id=frame.id,
        file_name=instance.file_name,
        sop_instance_uid=instance.sop_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        study_instance_uid=instance.study_instance_uid,
        frame_number=frame.frame_number,
        labels={label.name: label.value for label in instance.labels},
        study_date=instance.study_date,
    )


def _described(question: Question, asked: Subject, scope: Scope) -> dict[str, Any]:
    return {
        **asked.described,
        "study_date": asked.study_date and asked.study_date.isoformat(),
        "picture": asked.picture,
        "frame_id": asked.frame_id,
        "k": question.k,
        "where": question.where.as_json(),
        "exclude_same_patient": question.exclude_same_patient,
        "one_per": question.one_per,
        "patient_known": asked.patient_known,
        "gallery": scope.size,
        "left_out": len(scope.left_out),
    }
