"""Which kinds of job wait where, and which worker process takes them. No Celery comes with it."""

from __future__ import annotations

from cbmir.types import JobKind

QUEUES: dict[JobKind, str] = {kind: kind.value for kind in JobKind}
"""The queue of each kind of job, and so of its task: one each, so that nothing waits behind a stranger."""

ROLES: dict[str, tuple[JobKind, ...]] = {
    "retrieve": (JobKind.RETRIEVE,),
    "index": (JobKind.INGEST, JobKind.EXTRACT, JobKind.EVALUATE, JobKind.REPORT, JobKind.FREE, JobKind.VERIFY),
    "train": (JobKind.TRAIN,),
    "archive": (JobKind.SYNC,),
    "explain": (JobKind.EXPLAIN,),
}
"""What each kind of worker process consumes. A query has a process that does nothing else; an explanation, which
takes seconds while somebody waits for it, has another."""

TASKS: dict[JobKind, str] = {kind: f"cbmir.{kind.value}" for kind in JobKind}
"""The Celery task of each kind of job."""
