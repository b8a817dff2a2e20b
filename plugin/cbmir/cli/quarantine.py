"""`cbmir quarantine`: what was set aside, and reading it again."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.errors import CbmirError, NotFound
from cbmir.store import quarantine
from cbmir.store.tables import Quarantined


@click.command("quarantine")
@click.argument("ids", nargs=-1, type=click.IntRange(1), metavar="[ID...]")
@click.option("--code", type=click.Choice(tuple(quarantine.MEANINGS)), help="Only what was set aside for this.")
@click.option("--retry", is_flag=True, help="Read the files again: those of the ids, of --code, or --all.")
@click.option("--all", "everything", is_flag=True, help="With --retry: all of them.")
@json_option
@click.pass_obj
def quarantine_command(
    context: Context, ids: tuple[int, ...], code: str | None, retry: bool, everything: bool, as_json: bool
) -> int:
    """List what was set aside, with the reason and the remedy, or read it again from where it was.

    A file that can be used when it is read again leaves the quarantine, without labels: `cbmir ingest --labels`
    gives them later. Ends with status 1 if a file could not be read at all, or is no longer there.
    """
    if retry:
        _check(ids, code, everything)
        return _retry(context, ids, code, as_json)
    if ids or everything:
        raise click.UsageError("Ids and --all are for --retry.")
    _list(context, code, as_json)
    return 0


def _check(ids: Sequence[int], code: str | None, everything: bool) -> None:
    if sum((bool(ids), code is not None, everything)) != 1:
        raise click.UsageError("Say what to retry: ids (`cbmir quarantine` lists them), --code CODE, or --all.")


def _retry(context: Context, ids: Sequence[int], code: str | None, as_json: bool) -> int:
    from cbmir.services.ingestion.again.from_archives import HOW
    from cbmir.services.ingestion.again.quarantine import retry

    with context.progress("retry") as progress:
        retried = retry(context.database, context.settings, progress, ids=ids or None, code=code, report=_complain)
    if as_json:
        print_json(retried.as_json())
    else:
        counts = retried.ingested
        click.echo(
            f"{counts.ingested:,} ingested, {counts.duplicates:,} known already, {counts.quarantined:,} set aside "
            f"again, {counts.failed:,} failed, {retried.asked:,} to be fetched again, {retried.gone:,} no "
            "longer where they were."
        )
        if retried.asked:
            click.echo(HOW)
    if ids and not any(retried.as_json().values()):
        raise NotFound("None of these is in quarantine.", "`cbmir quarantine` lists what is, each with its id.")
    return 1 if retried.gone or retried.ingested.failed else 0


def _complain(origin: str, error: CbmirError) -> None:
    click.echo(f"cbmir: {origin}: {error.sentence}", err=True)


def _list(context: Context, code: str | None, as_json: bool) -> None:
    with context.database.read() as session:
        rows = quarantine.listing(session, code=code, limit=None)
    if as_json:
        print_json([_row(row) for row in rows])
        return
    for row in rows:
        click.echo(f"{row.id}  {row.origin or row.file_name}: {row.reason} {row.remedy}")
    click.echo(f"{len(rows):,} set aside.")
    for name in {row.code: None for row in rows}:
        click.echo(f"{sum(row.code == name for row in rows):>7,}  {name}: {quarantine.meaning(name)}")


def _row(row: Quarantined) -> dict[str, str | int]:
    return {
        "id": row.id,
        "file_name": row.file_name,
        "origin": row.origin,
        "sha256": row.sha256,
        "code": row.code,
        "reason": row.reason,
        "remedy": row.remedy,
        "created_at": row.created_at.isoformat(),
    }
