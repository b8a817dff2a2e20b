"""How values are shown on the pages: times, sizes, names, what a job is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from markupsafe import Markup

from cbmir import __version__
from cbmir.evaluation import definitions
from cbmir.evaluation.summary import typical
from cbmir.labels import split
from cbmir.store.alternatives import joined
from cbmir.store.filters import Where, written
from cbmir.store.quarantine import meaning
from cbmir.store.tables import Job, now
from cbmir.types import JobKind, JobState
from cbmir.words import counted
from cbmir_web import curves

TITLES = {
    JobKind.INGEST: "Add images",
    JobKind.EXTRACT: "Extract features",
    JobKind.TRAIN: "Train an encoder",
    JobKind.EVALUATE: "Evaluate an encoder",
    JobKind.RETRIEVE: "Search",
    JobKind.SYNC: "Follow an archive",
    JobKind.REPORT: "Store an answer in an archive",
    JobKind.FREE: "Free an encoder's features",
    JobKind.EXPLAIN: "Explain a hit",
    JobKind.VERIFY: "Verify an archive",
}
EARLY_SECONDS, EARLY_SHARE = 60.0, 0.02
"""How soon, and by how little, nothing is foretold: the first step waits for processes that start."""

SPANS = ((86400, "d"), (3600, "h"), (60, "min"))


def install(app: Flask) -> None:
    """Give the templates these filters and names."""
    app.jinja_env.filters.update(
        ago=ago, moment=moment, duration=duration, count=count, size=size, spaced=spaced, decimal=decimal,
        meaning=meaning, job_title=job_title, job_subject=job_subject, said=said, terms=terms,
        findings_first=findings_first, typical=typical, defined=definitions.of, breakable=breakable, dense=dense,
        written=written, each_label=split,
    )  # fmt: skip
    app.jinja_env.globals.update(
        version=__version__, is_open=is_open, draw=curves.draw, elapsed=elapsed, definitions=definitions.DEFINITIONS
    )


def ago(then: datetime | None) -> str:
    """How long ago: `just now`, `3 min ago`; after a week the date."""
    if then is None:
        return ""
    seconds = (now() - then).total_seconds()
    if seconds < 45:
        return "just now"
    return f"{then:%Y-%m-%d}" if seconds > 7 * 86400 else f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    return next((f"{seconds // unit:.0f} {name}" for unit, name in SPANS if seconds >= unit), f"{int(seconds)} s")


def moment(then: datetime | None) -> str:
    """Date and time in UTC, to the second."""
    return "" if then is None else f"{then:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """A span of time: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return "less than 0.1 s"
    if round(seconds) < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def elapsed(job: Job) -> float | None:
    """Seconds that a job has run, or ran."""
    return None if job.started_at is None else ((job.finished_at or now()) - job.started_at).total_seconds()


def count(number: int, one: str = "", many: str = "") -> str:
    """A number with its noun: `1 image`, `8,842 images`."""
    return counted(number, one, many) if one else f"{number:,}"


def size(number: float) -> str:
    """Bytes, in the unit that reads best."""
    for unit in ("bytes", "kB", "MB"):
        if round(number) < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GB"


def breakable(name: str) -> Markup:
    """A file's name that a narrow place breaks where its parts end: `xray/hand_|01.dcm`."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_])", name))


def dense(markup: str) -> str:
    """A page's part, for a block of a template, without the blanks that indent its lines."""
    return re.sub(r"\n\s+", "\n", markup)


def spaced(name: str) -> str:
    """A label's value for reading: `brain_glioma` as `brain glioma`."""
    return name.replace("_", " ")


def findings_first(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels in a reader's order: what was found, then how it was imaged, then where it comes from."""
    last = ("modality", "source")
    return dict(sorted(labels.items(), key=lambda pair: last.index(pair[0]) if pair[0] in last else -1))


def decimal(value: Any, digits: int = 3) -> str:
    """A number of fixed digits, zero without a sign; a dash where there is none."""
    return f"{value:z.{digits}f}" if isinstance(value, int | float) else "–"


def is_open(job: Job) -> bool:
    """True while the job waits or runs."""
    return not job.is_final


def left(job: Job) -> str:
    """How long a running job may still take, by its pace so far; empty while that cannot be told."""
    seconds = elapsed(job)
    if job.state != JobState.RUNNING or seconds is None or not job.done or job.done >= job.total or seconds < 5:
        return ""
    barely_begun = seconds < EARLY_SECONDS and job.done < EARLY_SHARE * job.total
    before_its_epochs = job.kind == JobKind.TRAIN and not job.message.startswith("epoch")
    if barely_begun or before_its_epochs or job.cancel_requested:
        return ""
    return f"about {_span(seconds * (job.total - job.done) / job.done)} left"


def said(job: Job) -> str:
    """What a running job tells of its progress: `35 of 180 · epoch 2 of 6 · about 3 min left`."""
    steps = f"{job.done:,} of {job.total:,}" if job.total else ""
    return " · ".join(part for part in (steps, job.message, left(job)) if part)


def job_title(job: Job) -> str:
    """What the job does, in words."""
    if job.kind == JobKind.INGEST and job.parameters.get("retry"):
        return "Read again"
    return TITLES[JobKind(job.kind)]


def job_subject(job: Job) -> str:
    """What the job is about: `12 files`, `35 epochs, seed 0`, the name of a searched file."""
    parameters: Mapping[str, Any] = job.parameters
    if job.kind == JobKind.INGEST and (again := parameters.get("retry")):
        return _read_again(again)
    if job.kind == JobKind.INGEST:
        names = list(parameters.get("files", {}).values())
        return names[0] if len(names) == 1 else count(len(names), "file")
    if job.kind == JobKind.TRAIN:
        return f"{count(parameters['epochs'], 'epoch')}, {parameters.get('side')} px, seed {parameters.get('seed')}"
    if job.kind == JobKind.RETRIEVE:
        return _asked(parameters)
    if job.kind == JobKind.SYNC:
        return str(parameters.get("archive") or "objects that were received")
    if job.kind in (JobKind.REPORT, JobKind.VERIFY):
        return str(parameters.get("archive"))
    if job.kind == JobKind.EXPLAIN:
        return f"image {parameters.get('frame_id')} of the archive"
    return str(parameters.get("encoder") or "the encoder in use")


def _read_again(again: Mapping[str, Any]) -> str:
    if again.get("ids"):
        return f"{count(len(again['ids']), 'file')} of the quarantine"
    return f"quarantine: {meaning(again['code'])}" if again.get("code") else "all of the quarantine"


def _asked(parameters: Mapping[str, Any]) -> str:
    if upload := parameters.get("upload"):
        return str(upload["file_name"])
    if parameters.get("frame_id"):
        return f"image {parameters['frame_id']} of the archive"
    return str(parameters.get("sop_instance_uid"))


def terms(where: Mapping[str, Any]) -> list[str]:
    """A stored filter as the terms that the form and the command line take: `modality=MR`."""
    parsed = Where.from_json(dict(where))
    own = ("body_part", parsed.body_part), ("archive", parsed.archive)
    dates = ("study_date>", parsed.study_from), ("study_date<", parsed.study_to)
    pairs = [("modality", parsed.modality), *parsed.label.items(), *own]
    return [
        *(written(name, value) for name, value in pairs if value),
        *(f"{name}={value}" for name, value in dates if value),
        *map(joined, parsed.any_of),
    ]
