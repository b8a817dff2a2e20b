"""Whether an extraction would find anything to do."""

from __future__ import annotations

from collections.abc import Callable

from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.settings import Settings
from cbmir.store import features, instances, jobs
from cbmir.store.lacking import lacks_any
from cbmir.store.session import Database
from cbmir.types import JobKind


def extracted(database: Database, settings: Settings, encoder_id: str) -> int:
    """How many frames failed in an extraction by a worker."""
    report = extract(database, settings, encoder_id, Silence())
    with database.write() as session:
        job = jobs.create(session, JobKind.EXTRACT, {"encoder": encoder_id})
        claimed = jobs.claim(session, job.id)
        assert claimed is not None
        jobs.succeed(session, job.id, report, claimed=claimed.started_at)
    return int(report["failed"])


def lacks(database: Database, encoder_id: str) -> bool:
    with database.read() as session:
        return lacks_any(session, encoder_id)


def test_what_is_lost_brings_no_extraction_with_it_and_hides_nothing_new(
    database: Database, settings: Settings, stock: Callable[..., None], add_network: Callable[..., str]
) -> None:
    stock(database, patients=2)
    encoder_id = add_network(database)
    with database.read() as session:
        lost = features.missing_frames(session, encoder_id, after=0, limit=3)
    for _, key in lost:
        Shelf(settings.pictures).discard(key)
    assert extracted(database, settings, encoder_id) == 3
    assert not lacks(database, encoder_id)
    with database.write() as session:
        for frame_id, _ in lost:
            instances.delete(session, instances.frame(session, frame_id).instance)
    stock(database, patients=2)  # the same come anew, with their pictures
    assert lacks(database, encoder_id)
    assert extracted(database, settings, encoder_id) == 0
    assert not lacks(database, encoder_id)
