"""What each kind of job does: from its parameters to the service, and from the service to the row.

Services are imported by those who work, when they make ready: who only hands jobs out never loads torch.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from sqlalchemy.orm import Session

from cbmir.errors import EncoderNotReady, NotFound
from cbmir.progress import Progress
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.encoders.versions.keeping import next_to_extract
from cbmir.services.retrieval.explaining.kept import hit_of
from cbmir.settings import Settings
from cbmir.store import jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState, OnePer
from cbmir_workers import uploads
from cbmir_workers.giving_way import Turn, giving_way, taking_turns

_APART = Isolation(1)
"""The process that converts what queries hand in: it stays, so that none waits for its start."""

_BESIDE = Isolation()
"""The processes that convert what archives send: they stay, so that a single new image does not wait for them."""

atexit.register(_APART.stop)
atexit.register(_BESIDE.stop)

SYNC_LINGERS_SECONDS = 3.0
"""How long a job that follows an archive waits for more: a steady flow of images is one job, not one a second."""

log = logging.getLogger(__name__)

Result = dict[str, Any]
FollowUp = tuple[JobKind, dict[str, Any]]


@dataclass(frozen=True)
class Duty:
    """One running job: where it works, what it was asked, and how it tells of its progress."""

    settings: Settings
    database: Database
    job_id: str
    parameters: dict[str, Any]
    progress: Progress
    started_at: datetime
    attempts: int
    enqueue: Callable[[JobKind, dict[str, Any]], Job]
    """Hands another job to whoever is idle."""


def _ingest(duty: Duty) -> Result:
    """Ingest uploaded files, or read again what was set aside."""
    from cbmir.services.ingestion.ingest import ingest_uploads

    if again := duty.parameters.get("retry"):
        return _retry(duty, again)
    folder = uploads.folder(duty.settings, duty.parameters["upload"])
    names = duty.parameters["files"]
    return ingest_uploads(duty.database, duty.settings, folder, names, duty.progress).as_json()


def _retry(duty: Duty, again: dict[str, Any]) -> Result:
    from cbmir.services.ingestion.again.quarantine import retry

    found = retry(duty.database, duty.settings, duty.progress, ids=again["ids"], code=again["code"])
    return found.as_json()


def _extract(duty: Duty) -> Result:
    """Extract the missing features of an encoder, shared with whoever is idle; or help another job with it.

    Those of an encoder that does not answer let other work go first.
    """
    from cbmir.services.features.sharing import Share, help_out, lead
    from cbmir.services.retrieval.confidence.calibrate import refresh
    from cbmir.services.retrieval.indexes.index_files import keep_up

    run, encoder_id = duty.parameters.get("helps", duty.job_id), duty.parameters["encoder"]
    share = Share(
        duty.database,
        duty.settings,
        run,
        encoder_id,
        duty.job_id,
        duty.started_at,
        giving_way(duty.database, encoder_id, duty.progress),
        call=lambda: _call_for_help(duty, run, share.encoder_id),
    )
    if run != duty.job_id:
        return help_out(share)
    try:
        result = lead(share, afresh=duty.attempts == 1)
    finally:
        _call_off(duty, run)
    refresh(duty.database, duty.settings, result["encoder"], duty.progress)
    keep_up(duty.database, duty.settings, result["encoder"])
    return result


def _call_for_help(duty: Duty, run: str, encoder_id: str) -> None:
    asked = {"encoder": encoder_id, "helps": run}
    with duty.database.read() as session:
        waits = any(job.parameters == asked for job in jobs.listing(session, state=JobState.QUEUED))
    if not waits:
        duty.enqueue(JobKind.EXTRACT, asked)


def _call_off(duty: Duty, run: str) -> None:
    """Take back the call that nobody has heard."""
    with duty.database.write() as session:
        queued = jobs.listing(session, state=JobState.QUEUED, kind=JobKind.EXTRACT)
        jobs.take_back(session, [job.id for job in queued if job.parameters.get("helps") == run])


def _free(duty: Duty) -> Result:
    """Delete the features of an encoder that does not answer."""
    from cbmir.services.encoders.versions.free import free

    return free(duty.database, duty.settings, duty.parameters["encoder"], duty.progress)


def _explain(duty: Duty) -> Result:
    """Say what makes a hit similar to its query."""
    from cbmir.services.retrieval.explaining.explain import explain_answer

    return explain_answer(duty.database, duty.settings, duty.parameters["query"], duty.parameters["frame_id"])


def _train(duty: Duty) -> Result:
    """Train an encoder; a training that was interrupted goes on from its last checkpoint."""
    from cbmir.services.training.train import TrainingRequest, train

    request = TrainingRequest.from_json(duty.parameters)
    return {"encoder": train(duty.database, duty.settings, request, duty.progress, run=duty.job_id)}


def _evaluate(duty: Duty) -> Result:
    """Measure how well an encoder retrieves."""
    from cbmir.services.evaluation.evaluate import evaluate

    asked = duty.parameters  # of a job that an earlier version queued: without the last three
    return evaluate(
        duty.database,
        duty.settings,
        asked["encoder"],
        asked["k"],
        asked["label"],
        duty.progress,
        against=asked.get("against"),
        by=asked.get("by", ()),
        probes=asked.get("probes", ()),
    )


def _sync(duty: Duty) -> Result:
    """Fetch and record what an archive has that we have not, or record what was received; with its features."""
    from cbmir.services.archives.extraction import Extraction

    with Extraction(duty.database, duty.settings) as extraction:
        result = _synced(duty, extraction.wake)
    _recalibrate(duty)
    return result


def _recalibrate(duty: Duty) -> None:
    """See whether the gallery has grown so much that its spread is to be measured anew."""
    from cbmir.services.retrieval.confidence.calibrate import refresh

    try:
        refresh(duty.database, duty.settings, None, duty.progress)
    except (NotFound, EncoderNotReady) as error:
        log.debug("no calibration: %s", error.code)


def _synced(duty: Duty, after: Callable[[], None]) -> Result:
    from cbmir.services.archives.registered import followed, refuse_removed
    from cbmir.services.archives.sync import synchronise

    turn = taking_turns(duty.database, duty.progress)
    if duty.parameters.get("received"):
        return _record_received(duty, turn, after)
    how: dict[str, Any] = {"after": after, "linger_seconds": SYNC_LINGERS_SECONDS, "enough": turn.is_over}
    with followed(duty.database, duty.settings, duty.parameters["archive"]) as archive:
        synced = synchronise(archive, turn, _BESIDE, **how)
        with duty.database.read() as session:
            refuse_removed(session, archive)
    turn.end()
    return synced.as_json()


def _record_received(duty: Duty, turn: Turn, after: Callable[[], None]) -> Result:
    from cbmir.services.archives.received import record_received

    where = duty.database, duty.settings
    received = record_received(*where, turn, _BESIDE, after=after, enough=turn.is_over)
    turn.end()
    return received.as_json()


def _retrieve(duty: Duty) -> Result:
    """Answer a query."""
    from cbmir.services.retrieval.retrieve import Question, retrieve
    from cbmir.store.filters import Where

    asked = duty.parameters
    upload = asked["upload"]
    question = Question(
        k=asked["k"],
        where=Where.from_json(asked["where"]),
        encoder_id=asked["encoder"],
        exclude_same_patient=asked["exclude_same_patient"],
        priors=asked.get("priors", 0),
        one_per=OnePer(asked["one_per"]) if asked.get("one_per") else None,
        data=uploads.read(duty.settings, upload["folder"], upload["stored"]) if upload else None,
        name=upload["file_name"] if upload else "",
        sop_instance_uid=asked["sop_instance_uid"],
        frame_number=asked["frame_number"],
        frame_id=asked["frame_id"],
    )
    return retrieve(duty.database, duty.settings, question, _APART).as_json()


def _report(duty: Duty) -> Result:
    """Store an answer in an archive, as DICOM documents in the study of the image that was asked about."""
    from cbmir.services.archives.registered import opened
    from cbmir.services.reporting.results import DocumentKind, send_results

    asked = duty.parameters
    kinds = {DocumentKind(kind) for kind in asked["kinds"]}
    with opened(duty.database, duty.settings, asked["archive"]) as archive:
        results = send_results(duty.database, duty.settings, asked["query"], archive, kinds)
    return {"documents": results.documents, "hits": results.hits, "left_out": list(results.left_out)}


def _verify(duty: Duty) -> Result:
    """Compare every object of an archive with the index."""
    from cbmir.services.archives.registered import followed
    from cbmir.services.archives.verify import verify

    with followed(duty.database, duty.settings, duty.parameters["archive"]) as archive:
        return verify(archive, duty.progress).summary()


def make_ready(kinds: Iterable[JobKind]) -> None:
    """Import the services of these kinds of jobs, which takes seconds, before the first job waits for it.

    For queries the machine code of searches is loaded, too.
    """
    for kind in kinds:
        import_module(f"cbmir.services.{MODULES[kind]}")
    if JobKind.RETRIEVE in kinds:
        from cbmir.index import loading

        loading.load()
        _APART.run("", 0, os.getpid)
    if JobKind.SYNC in kinds:
        _BESIDE.run("", 0, os.getpid)


DUTIES: dict[JobKind, Callable[[Duty], Result]] = {
    JobKind.INGEST: _ingest,
    JobKind.EXTRACT: _extract,
    JobKind.TRAIN: _train,
    JobKind.EVALUATE: _evaluate,
    JobKind.RETRIEVE: _retrieve,
    JobKind.SYNC: _sync,
    JobKind.REPORT: _report,
    JobKind.FREE: _free,
    JobKind.EXPLAIN: _explain,
    JobKind.VERIFY: _verify,
}
"""The work of each kind of job."""

MODULES: dict[JobKind, str] = {
    JobKind.INGEST: "ingestion.ingest",
    JobKind.EXTRACT: "features.sharing",
    JobKind.TRAIN: "training.train",
    JobKind.EVALUATE: "evaluation.evaluate",
    JobKind.RETRIEVE: "retrieval.retrieve",
    JobKind.SYNC: "archives.sync",
    JobKind.REPORT: "reporting.results",
    JobKind.FREE: "encoders.versions.free",
    JobKind.EXPLAIN: "retrieval.explaining.explain",
    JobKind.VERIFY: "archives.verify",
}
"""The module of the service that does it, below `cbmir.services`."""


def follow_up(session: Session, kind: JobKind, result: Result | None) -> FollowUp | None:
    """The job that an ended one brings with it: new images and new encoders need features, of the active encoder
    first, then of each that is kept beside it.

    An ingest may have ended half-way (`result` is None), or be the repetition of one that did and find only
    duplicates: what counts is what the database lacks.
    """
    if kind is JobKind.TRAIN and result is not None:
        return JobKind.EXTRACT, {"encoder": result["encoder"]}
    if kind in (JobKind.INGEST, JobKind.SYNC):
        return _extraction(session, next_to_extract(session))
    if kind is JobKind.EXTRACT and result is not None and "run" not in result:  # a helper's says so
        return _extraction(session, next_to_extract(session, after=result["encoder"]))
    return None


def _extraction(session: Session, encoder_id: str | None) -> FollowUp | None:
    """The job that extracts what an encoder lacks, unless one that will waits already."""
    waiting = (job.parameters for job in jobs.waiting(session, (JobKind.EXTRACT,)))
    if encoder_id is None or any(each.get("encoder") == encoder_id and "helps" not in each for each in waiting):
        return None
    return JobKind.EXTRACT, {"encoder": encoder_id}


def of_today(session: Session, kind: JobKind, asked: dict[str, Any], result: Result) -> Result:
    """The result as it may be recorded: it names no image that was deleted while the job ran.

    Raises:
        cbmir.errors.NotFound: if what the result is about is not there any more: it must not be recorded.
    """
    if kind is JobKind.EXPLAIN:
        hit_of(session, asked["query"], asked["frame_id"], hold=True)
    return queries.of_today(session, result) if kind is JobKind.RETRIEVE else result


def remember(session: Session, kind: JobKind, job_id: str, asked: dict[str, Any], result: Result) -> None:
    """Keep a query and its answer."""
    if kind is JobKind.RETRIEVE:
        queries.save(
            session,
            job_id=job_id,
            encoder_id=result["encoder"],
            picture=result["query"]["picture"],
            frame_id=result["query"]["frame_id"],
            k=asked["k"],
            where=asked["where"],
            hits=result["hits"],
        )
