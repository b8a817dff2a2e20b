"""`cbmir jobs`: what the workers do and did."""

from __future__ import annotations

from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.store import jobs
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState


@click.command("jobs")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only jobs in this state.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, newest first."
)
@json_option
@click.pass_obj
def jobs_command(context: Context, state: str | None, limit: int, as_json: bool) -> None:
    """List the jobs of the web and the workers, newest first."""
    with context.database.read() as session:
        rows = jobs.listing(session, state=JobState(state) if state else None, limit=limit)
    if as_json:
        print_json([_row(row) for row in rows])
        return
    for row in rows:
        share = f"{row.done:,}/{row.total:,}" if row.total else ""
        note = row.error_sentence or _failures(row) or row.message
        click.echo(f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {row.kind:<8}  {row.state:<9}  {share:>13}  {note}")
    if not rows:
        click.echo("No jobs.")


def _failures(row: Job) -> str:
    """Of an extraction that went well but for some pictures: how many, and why the first."""
    result = row.result or {}
    if row.kind != JobKind.EXTRACT or not result.get("failed"):
        return ""
    first = [f", image {frame}: {reason}" for frame, reason in result.get("reasons", {}).items()][:1]
    return f"{result['failed']:,} failed{''.join(first)}"


def _error(row: Job) -> dict[str, str | None]:
    return {"code": row.error_code, "reason": row.error_message, "remedy": row.error_remedy}


def _row(row: Job) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "done": row.done,
        "total": row.total,
        "message": row.message,
        "attempts": row.attempts,
        "failed": (row.result or {}).get("failed", 0),
        "error": _error(row) if row.error_code else None,
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
