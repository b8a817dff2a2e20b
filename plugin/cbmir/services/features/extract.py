"""Extract the features of all pictures that have none yet. No torch by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.ahead import in_batches
from cbmir.encoders import machine
from cbmir.encoders.base import Encoder
from cbmir.errors import BrokenFile, EmptyGallery, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.conversion import outdated
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import encoders, features, tables
from cbmir.store.frames import count_and_highest
from cbmir.store.session import Database
from cbmir.types import FloatArray

REASONS_SHOWN = 20

NOT_FINITE = (
    "The encoder {} gives a number of it that is not finite. Look at the picture; if it is in order, mend the "
    "network, such as a division by 0 within, and add it anew: `cbmir encoders add`."
)

log = logging.getLogger(__name__)


@dataclass
class _Batch:
    """Frames that were encoded together: those that went well with their vectors, the others with the reason."""

    frame_ids: list[int] = field(default_factory=list)
    vectors: FloatArray | None = None
    failures: dict[int, str] = field(default_factory=dict)


@dataclass
class _Tally:
    extracted: int = 0
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return self.extracted + len(self.failures)


def extract(database: Database, settings: Settings, encoder_id: str | None, progress: Progress) -> dict[str, Any]:
    """Give every stored frame that has none a feature of this encoder.

    Each batch is committed by itself: what is cut off goes on where it was, and two that run at once do no harm.

    Args:
        database: of the installation.
        settings: of the installation; `threads` batches are worked on at once, 0 means one for each core.
        encoder_id: which; the active one if None. From now on new pictures get features of it too.
        progress: told after every batch.

    Returns:
        `encoder`: its id; `extracted`: features that are new; `already`: those that were there, or that another
        run has added meanwhile; `outdated`: how many of all are of pictures that an earlier conversion made;
        `failed`: frames whose picture is missing or damaged, or of which the encoder gives a number that is not
        finite: these have no feature of it, and are tried again whenever it is asked for; `reasons`: why, by frame
        id, of the first twenty of these; `up_to`: the highest id that a frame had at the beginning.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or its weights are not here.
        cbmir.errors.WeightsMismatch: if its weights file is not the recorded one.
        cbmir.errors.EmptyGallery: if no picture is stored.
        cbmir.errors.JobCancelled: if the job should stop; what is extracted stays.
    """
    row, total, up_to = start(database, encoder_id)
    progress.update(0, total, "extracting")
    tally = _extracted(database, settings, row, 0, total, progress)
    with database.read() as session:
        return told(session, settings, row.id, tally.extracted, tally.failures, up_to)


def told(
    session: Session, settings: Settings, encoder_id: str, extracted: int, failures: Mapping[Any, str], up_to: int
) -> dict[str, Any]:
    """What an extraction tells when it has ended: see `extract`."""
    first = islice(failures.items(), REASONS_SHOWN)
    return {
        "encoder": encoder_id,
        "extracted": extracted,
        "already": max(0, features.count(session, encoder_id) - extracted),
        "outdated": outdated.count(session, encoder_id, settings),
        "failed": len(failures),
        "reasons": {str(frame): reason for frame, reason in first},
        "up_to": up_to,
    }


def extract_new(database: Database, settings: Settings, progress: Progress) -> int:
    """Give the frames that came after all that have a feature of the active encoder theirs: of the active encoder
    first, then of those that are kept beside it.

    However many are stored, it costs no more than the new ones: it looks for none that an earlier run left out, as
    `extract` does. An encoder that answers and was never used, as the one that comes with cbmir, is used from now
    on.

    Returns:
        How many features of the active encoder are new.

    Raises:
        as `extract`, but for `EmptyGallery`.
    """
    with database.read() as session:
        active, *beside = encoders.kept(session)
        after = features.newest_frame(session, active.id)
    if not active.kept and not active.generation:
        with database.write() as session:
            encoders.set_kept(session, active.id, True)
    new = _extracted(database, settings, active, after, 0, progress).extracted
    for row in beside if after else []:  # of a whole archive it is the work of a job of its own
        _extracted(database, settings, row, after, 0, progress)
    return new


def extract_between(
    database: Database, settings: Settings, encoder_id: str, after: int, up_to: int, progress: Progress
) -> tuple[int, dict[int, str]]:
    """Give the frames above id `after`, up to id `up_to`, that lack a feature of an encoder theirs.

    Returns:
        How many features are new, and why others could not be had, by frame id.

    Raises:
        as `extract`, but for `EmptyGallery`.
    """
    with database.read() as session:
        row = encoders.get(session, encoder_id)
    tally = _extracted(database, settings, row, after, 0, progress, up_to)
    return tally.extracted, tally.failures


def _extracted(
    database: Database,
    settings: Settings,
    row: tables.Encoder,
    after: int,
    total: int,
    progress: Progress,
    up_to: int | None = None,
) -> _Tally:
    """Extract what frames above id `after`, and not above `up_to`, lack, of which `total` were known before."""
    tally = _Tally()
    encoder, shelf = load_encoder(row, settings), Shelf(settings.pictures)
    machine.keep_memory()
    missing = _missing(database, row.id, settings.batch_size, after, up_to)
    threads = settings.threads or machine.cores()
    encoded = in_batches(
        lambda frames: _encode(frames, shelf, encoder, row.id), missing, threads=threads, most=threads
    )
    with closing(encoded) as batches:
        for batch in chain.from_iterable(batches):
            _keep(database, row, batch, tally)
            progress.update(tally.done, max(total, tally.done), "extracting")
    return tally


def start(database: Database, encoder_id: str | None) -> tuple[tables.Encoder, int, int]:
    """The encoder, the active one if None, how many frames lack its features, which are kept from now on, and the
    highest id of a frame.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EmptyGallery: if no picture is stored.
    """
    with database.write() as session:
        row = encoders.resolve(session, encoder_id)
        encoders.set_kept(session, row.id, True)
        total, stored = features.count_missing(session, row.id), features.count(session, row.id)
        up_to = count_and_highest(session)[1]
    if not total and not stored:
        raise EmptyGallery("There is no picture to extract features of.", "Ingest some first: `cbmir ingest`.")
    return row, total, up_to


def _missing(
    database: Database, encoder_id: str, size: int, after: int, up_to: int | None
) -> Iterator[list[tuple[int, str]]]:
    """Frames without a feature, as (id, picture key), in batches; frames that arrive meanwhile are included."""
    while True:
        with database.read() as session:
            frames = features.missing_frames(session, encoder_id, after=after, limit=size, up_to=up_to)
        if not frames:
            return
        yield frames
        after = frames[-1][0]


def _encode(frames: list[tuple[int, str]], shelf: Shelf, encoder: Encoder, encoder_id: str) -> _Batch:
    batch, inputs = _Batch(), []
    for frame_id, key in frames:
        try:
            inputs.append(encoder.preprocessing.apply(shelf.get(key)))
            batch.frame_ids.append(frame_id)
        except (NotFound, BrokenFile) as error:
            batch.failures[frame_id] = error.sentence
        except OSError as error:
            batch.failures[frame_id] = f"The stored picture {key} cannot be read: {error.strerror}."
    if inputs:
        _take(batch, encoder.encode(np.stack(inputs)), encoder_id)
    return batch


def _take(batch: _Batch, vectors: FloatArray, encoder_id: str) -> None:
    """Let the batch's frames have these vectors; one that no distance can be measured to is set aside."""
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    good = [batch.frame_ids[place] for place in finite]
    batch.failures.update(dict.fromkeys(set(batch.frame_ids) - set(good), NOT_FINITE.format(encoder_id)))
    batch.frame_ids, batch.vectors = good, vectors[finite]


def _keep(database: Database, row: tables.Encoder, batch: _Batch, tally: _Tally) -> None:
    for frame_id, reason in batch.failures.items():
        log.warning("frame %d has no feature: %s", frame_id, reason)
    tally.failures.update(batch.failures)
    if batch.vectors is None:
        return
    with database.write() as session:
        tally.extracted += features.add_batch(session, row, batch.frame_ids, batch.vectors)
