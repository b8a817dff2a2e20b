"""How values are shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cbmir.store.filters import Where
from cbmir.store.tables import Job, now
from cbmir_web import presenting


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (50, "50 s ago"),
        (59.7, "59 s ago"),
        (90, "1 min ago"),
        (7300, "2 h ago"),
        (3 * 86400, "3 d ago"),
    ],
)
def test_moments_are_told_by_their_distance(seconds: float, shown: str) -> None:
    assert presenting.ago(now() - timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.04, "less than 0.1 s"),
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_spans_of_time(seconds: float | None, shown: str) -> None:
    assert presenting.duration(seconds) == shown


def test_labels_begin_with_what_was_found() -> None:
    labels = {"modality": "mri", "side": "left", "source": "a place", "subclass": "tear"}
    assert list(presenting.findings_first(labels)) == ["side", "subclass", "modality", "source"]


@pytest.mark.parametrize(("value", "shown"), [(-0.0001, "0.000"), (-0.25, "-0.250"), (None, "–"), (1, "1.000")])
def test_numbers_of_fixed_digits(value: float | None, shown: str) -> None:
    assert presenting.decimal(value) == shown


def test_a_name_breaks_where_its_parts_end_and_stays_escaped() -> None:
    assert presenting.breakable("mri/<b>_1.dcm") == "mri/<wbr>&lt;b&gt;_<wbr>1.dcm"


def test_numbers_with_their_nouns() -> None:
    assert presenting.count(1, "image") == "1 image"
    assert presenting.count(8842, "image") == "8,842 images"
    assert presenting.count(2, "query", "queries") == "2 queries"
    assert presenting.count(1234) == "1,234"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 bytes"), (2048, "2 kB"), (2**20 - 1, "1 MB"), (512 * 2**20, "512 MB"), (3 * 2**30, "3.0 GB")],
)
def test_sizes(number: int, shown: str) -> None:
    assert presenting.size(number) == shown


def running(seconds: float, done: int, total: int, message: str = "epoch 2") -> Job:
    """A job that has run so long and come so far."""
    started = now() - timedelta(seconds=seconds)
    return Job(kind="train", state="running", started_at=started, done=done, total=total, message=message)


def test_a_running_job_tells_what_is_left() -> None:
    assert presenting.said(running(60, 10, 40)) == "10 of 40 · epoch 2 · about 3 min left"
    assert presenting.said(running(2, 10, 40)) == "10 of 40 · epoch 2"
    assert presenting.said(running(60, 0, 0)) == "epoch 2"


def test_what_is_left_is_not_told_by_a_first_step_or_before_the_epochs_of_a_training() -> None:
    assert presenting.said(running(6, 1, 3000)) == "1 of 3,000 · epoch 2"
    assert presenting.said(running(60, 10, 3000)) == "10 of 3,000 · epoch 2 · about 4 h left"
    assert presenting.said(running(60, 10, 40, "reading pictures")) == "10 of 40 · reading pictures"


def test_of_a_job_that_is_to_stop_nothing_is_foretold() -> None:
    job = running(60, 10, 40)
    job.cancel_requested = True
    assert presenting.said(job) == "10 of 40 · epoch 2"


@pytest.mark.parametrize(
    ("kind", "parameters", "shown"),
    [
        ("ingest", {"files": {"0": "a.dcm"}}, "a.dcm"),
        ("ingest", {"files": {"0": "a.dcm", "1": "b.dcm"}}, "2 files"),
        ("train", {"epochs": 3, "side": 64, "seed": 1}, "3 epochs, 64 px, seed 1"),
        ("train", {"epochs": 1, "side": 64, "seed": 1}, "1 epoch, 64 px, seed 1"),
        ("extract", {"encoder": None}, "the encoder in use"),
        ("evaluate", {"encoder": "cnn"}, "cnn"),
        ("retrieve", {"upload": {"file_name": "x.dcm"}}, "x.dcm"),
        ("sync", {"archive": "pacs"}, "pacs"),
        ("sync", {"received": True}, "objects that were received"),
        ("retrieve", {"upload": None, "frame_id": 7}, "image 7 of the archive"),
        ("retrieve", {"upload": None, "frame_id": None, "sop_instance_uid": "1.2"}, "1.2"),
    ],
)
def test_what_a_job_is_about(kind: str, parameters: dict[str, object], shown: str) -> None:
    assert presenting.job_subject(Job(kind=kind, parameters=parameters)) == shown


def test_a_stored_filter_reads_as_it_was_typed() -> None:
    typed = ["modality=MR", "subclass=brain", "body_part=HEAD"]
    assert presenting.terms(Where.parse(typed).as_json()) == typed
    typed = ["size> =5", "study_date>=2024-01-31", "side!=left OR size< =3"]
    assert presenting.terms(Where.parse(typed).as_json()) == typed
    typed = ['subclass="black OR white"', 'side!=left OR note="a ""b"" OR c"']
    assert presenting.terms(Where.parse(typed).as_json()) == typed
