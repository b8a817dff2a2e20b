"""`cbmir index`: what searches are made in."""

from __future__ import annotations

import click

from cbmir.cli.context import Context, json_option, print_json


@click.group("index")
def index_command() -> None:
    """Look after the indexes: they are made from the database, and can be made anew at any time.

    CBMIR_INDEX says where they are kept: exact, hnsw, pgvector or milvus.
    """


encoder_option = click.option("--encoder", "encoder_id", metavar="ID", help="Which; the one in use if left out.")


@index_command.command("status")
@json_option
@click.pass_obj
def status_command(context: Context, as_json: bool) -> None:
    """Say of each encoder's index how large it is, how far behind the database, and how good if not exact."""
    from cbmir.services.retrieval.indexes.report import status

    rows = status(context.database, context.settings)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        size = f"  {row['bytes'] / 1e6:,.1f} MB" if "bytes" in row else ""
        lag = f" by {row['behind']:,}" if row.get("behind") else ""
        found = f"  recall@10 {row['recall']:.3f}" if row.get("recall") is not None else ""
        click.echo(
            f"{row['encoder']}  {row['index']}  {row['features']:,} features  {row['state']}{lag}{size}{found}"
        )
        if "reason" in row:
            click.echo(f"cbmir: {row['reason']}", err=True)
    if not rows:
        click.echo("No encoder has features yet: cbmir extract")


@index_command.command("build")
@encoder_option
@json_option
@click.pass_obj
def build_command(context: Context, encoder_id: str | None, as_json: bool) -> None:
    """Make the index anew from the database; searches go on meanwhile."""
    from cbmir.services.retrieval.indexes.index_files import rebuild

    made = rebuild(context.database, context.settings, encoder_id)
    report = {
        "encoder": made.stamp.encoder_id,
        "features": len(made.index),
        "generation": made.stamp.generation,
        "recall": made.stamp.recall,
    }
    if as_json:
        print_json(report)
    else:
        found = "" if made.stamp.recall is None else f", recall@10 {made.stamp.recall:.3f}"
        click.echo(f"{report['encoder']}: {report['features']:,} features{found}")


@index_command.command("verify")
@encoder_option
@json_option
@click.pass_obj
def verify_command(context: Context, encoder_id: str | None, as_json: bool) -> None:
    """Compare every number of the index with the database."""
    from cbmir.services.retrieval.indexes.report import verify

    report = verify(context.database, context.settings, encoder_id)
    if as_json:
        print_json(report)
    else:
        newer = f"; {report['newer']:,} are newer than the index" if report["newer"] else ""
        click.echo(f"{report['encoder']}: {report['compared']:,} features are the database's{newer}.")


@index_command.command("benchmark")
@encoder_option
@click.option("-k", type=click.IntRange(1), default=5, show_default=True, help="How many hits.")
@json_option
@click.pass_obj
def benchmark_command(context: Context, encoder_id: str | None, k: int, as_json: bool) -> None:
    """Say how long the search alone takes here, and how much of the truth it finds, beside the exact one."""
    from cbmir.services.retrieval.indexes.benchmark import measured

    report = measured(context.database, context.settings, encoder_id, k)
    if as_json:
        print_json(report)
        return
    if "recall" in report:
        rest = f"recall@{k} {report['recall']:.3f}; exact: recall@{k} 1, median {report['exact_median_ms']:.2f} ms."
    else:
        rest = f"{report['measured']:.0f} distances and {report['codes_part']:.1%} of the codes a query."
    click.echo(
        f"{report['index']}: {report['features']:,} features, {k} hits: median {report['median_ms']:.2f} ms, "
        f"slowest {report['slowest_ms']:.2f} ms; opened in {report['open_ms']:.0f} ms; {rest}"
    )
