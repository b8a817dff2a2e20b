"""A long extraction that several workers share, on one host or many: piece by piece, each frame once.

The job that was asked for is the run. It works like any other, and calls for one helper as soon as there is more
than it works on itself; each helper calls for the next. So as many workers join as are idle, however many hosts
there are. The helper that nobody had time for is called off at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cbmir.errors import NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.features.extract import extract_between, start, told
from cbmir.settings import Settings
from cbmir.store import features, jobs, pieces
from cbmir.store.session import Database
from cbmir.store.tables import ExtractionPiece

FRAMES_AT_ONCE = 2048
"""Frames of one piece: some seconds of work, and what is done again at most where a host is lost is less."""

SAMPLE = 16
"""Pictures that a helper looks for before it takes part."""

WAIT_SECONDS = 0.5
"""How often a run whose helpers still work looks whether they are done, or have died."""


@dataclass
class Share:
    """One worker's part in a shared extraction.

    Attributes:
        database: the installation's, which all workers share.
        settings: this worker's.
        run: id of the job that shares its work out.
        encoder_id: whose features are missing.
        job_id: of the job that this worker does: the run's, or a helper's.
        started_at: of that job, as it was claimed.
        progress: told after every batch, of the run as a whole: the other workers' pieces count once they are done.
        call: calls for one helper; called once, when there is more than this worker works on.
        total: features that the run is about.
    """

    database: Database
    settings: Settings
    run: str
    encoder_id: str
    job_id: str
    started_at: datetime
    progress: Progress
    call: Callable[[], object] = field(default=lambda: None)
    total: int = 0
    extracted: int = 0
    failed: int = 0

    def work(self) -> None:
        """Work on pieces until none is left to be claimed.

        Raises:
            as `cbmir.services.features.extract.extract_between`.
        """
        called = False
        while piece := self.claim():
            if not called and self._is_more(piece):
                self.call()
                called = True
            self._extract(piece)

    def claim(self) -> ExtractionPiece | None:
        """The next piece for this worker, if there is one."""
        with self.database.write() as session:
            return pieces.claim(
                session,
                self.run,
                self.encoder_id,
                worker=self.job_id,
                started_at=self.started_at,
                frames=FRAMES_AT_ONCE,
            )

    def _is_more(self, piece: ExtractionPiece) -> bool:
        with self.database.read() as session:
            return bool(features.missing_frames(session, self.encoder_id, after=piece.up_to, limit=1))

    def _extract(self, piece: ExtractionPiece) -> None:
        progress = _Sum(self.progress, self.done_by_all(), self.total)
        extracted, failures = extract_between(
            self.database, self.settings, self.encoder_id, piece.after, piece.up_to, progress
        )
        self.extracted, self.failed = self.extracted + extracted, self.failed + len(failures)
        with self.database.write() as session:
            pieces.finish(session, piece, extracted, failures)

    def done_by_all(self) -> int:
        """Frames of the pieces that are done, whoever did them."""
        with self.database.read() as session:
            return _done(pieces.of_run(session, self.run))


def lead(share: Share, *, afresh: bool) -> dict[str, Any]:
    """Do an extraction as its run: share it out, take part, and wait for those who help.

    Args:
        share: of the run itself.
        afresh: whether what is left of an earlier attempt is forgotten; a run whose worker has died goes on.

    Returns:
        as `cbmir.services.features.extract.extract`, with the work of all.

    Raises:
        as `cbmir.services.features.extract.extract`.
    """
    row, total, up_to = start(share.database, share.encoder_id)
    share.encoder_id = row.id
    if afresh:
        with share.database.write() as session:
            pieces.forget(session, share.run)
    done = share.done_by_all()
    share.total = done + total
    share.progress.update(done, share.total, "extracting")
    share.work()
    while not _all_done(share):
        time.sleep(WAIT_SECONDS)
        share.work()  # what a helper left that has died
    return _result(share, up_to)


def _all_done(share: Share) -> bool:
    with share.database.read() as session:
        found = pieces.of_run(session, share.run)
    done = _done(found)
    share.progress.update(done, max(share.total, done), "extracting, with others")
    return all(each.extracted is not None for each in found)


def _done(found: Sequence[ExtractionPiece]) -> int:
    return sum((each.extracted or 0) + len(each.failures) for each in found)


def _result(share: Share, up_to: int) -> dict[str, Any]:
    with share.database.write() as session:
        found = pieces.of_run(session, share.run)
        pieces.forget(session, share.run)
        extracted = sum(each.extracted or 0 for each in found)
        failures = {frame: reason for each in found for frame, reason in each.failures.items()}
        return told(session, share.settings, share.encoder_id, extracted, failures, up_to)


def help_out(share: Share) -> dict[str, Any]:
    """Take part in another job's extraction for as long as there is anything to claim.

    Returns:
        `encoder`, `run`, and what this worker did: `extracted`, `failed`.

    Raises:
        cbmir.errors.NotFound: if the pictures are not on this host: nothing is claimed then.
        as `cbmir.services.features.extract.extract_between`.
    """
    _refuse_without_pictures(share)
    with share.database.read() as session:
        share.total = jobs.get(session, share.run).total
    share.work()
    did = {"extracted": share.extracted, "failed": share.failed}
    return {"encoder": share.encoder_id, "run": share.run, **did}


def _refuse_without_pictures(share: Share) -> None:
    """A host whose pictures are elsewhere would find every frame at fault, and spoil the run within seconds."""
    with share.database.read() as session:
        some = features.missing_frames(session, share.encoder_id, after=0, limit=SAMPLE)
    shelf = Shelf(share.settings.pictures)
    if some and not any(shelf.has(key) for _, key in some):
        raise NotFound(
            f"None of the pictures that lack features is in {share.settings.pictures} on this host.",
            "Hosts that share an extraction share the folders `pictures` and `weights`: see docs/sizing.md.",
        )


@dataclass(frozen=True)
class _Sum:
    """Progress of one piece as part of the run."""

    progress: Progress
    before: int
    total: int

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        done += self.before
        self.progress.update(done, max(self.total, done), message)
