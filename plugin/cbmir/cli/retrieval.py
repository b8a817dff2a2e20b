"""`cbmir query`. Services are imported when a command runs: torch takes its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cbmir.cli.context import Context, json_option, print_json
from cbmir.errors import BadRequest, NotFound
from cbmir.store.filters import Where
from cbmir.types import LARGEST_K, OnePer


def _filter(terms: tuple[str, ...]) -> Where:
    try:
        return Where.parse(terms)
    except BadRequest as error:
        raise click.BadParameter(error.sentence) from error


@click.command("query")
@click.argument("subject", metavar="FILE|SOP_INSTANCE_UID")
@click.option("-k", type=click.IntRange(1, LARGEST_K), default=5, show_default=True, help="How many hits.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda _, __, terms: _filter(terms),
    help="Such as modality=MR, subclass!=normal, 'modality=MR OR modality=CT', or 'study_date>=2024-01-31'; may be "
    "repeated. A value, or a name, that has OR in it stands in double quotes: 'subclass=\"black OR white\"'.",
)
@click.option("--encoder", "encoder_id", metavar="ID", help="Whose features; the one in use if left out.")
@click.option("--frame", "frame_number", type=click.IntRange(1), help="Frame of a multi-frame object, from 1.")
@click.option("--exclude-same-patient", is_flag=True, help="Leave out images of the query's own patient.")
@click.option(
    "--priors",
    type=click.IntRange(0, LARGEST_K),
    default=0,
    help="So many images of that patient's other studies, too.",
)
@click.option(
    "--one-per",
    type=click.Choice([each.value for each in OnePer]),
    help="Only the best hit of each, so that one volume does not fill the answer.",
)
@json_option
@click.pass_obj
def query_command(
    context: Context,
    subject: str,
    k: int,
    where: Where,
    encoder_id: str | None,
    frame_number: int | None,
    exclude_same_patient: bool,
    priors: int,
    one_per: str | None,
    as_json: bool,
) -> None:
    """Find the most similar images to a file, or to an object of the library."""
    from cbmir.services.archives.links import with_viewers
    from cbmir.services.conversion.isolation import Isolation
    from cbmir.services.conversion.outdated import REMEDY
    from cbmir.services.retrieval.retrieve import Question, forget, retrieve

    question = Question(
        k=k,
        where=where,
        encoder_id=encoder_id,
        exclude_same_patient=exclude_same_patient,
        priors=priors,
        one_per=OnePer(one_per) if one_per else None,
        frame_number=frame_number,
        **subject_named(subject),
    )
    with Isolation(1) as isolation:
        answer = retrieve(context.database, context.settings, question, isolation)
    forget(context.database, context.settings, answer)
    if answer.outdated:
        old = f"{answer.outdated:,} of the features compared are of pictures that are made otherwise today."
        click.echo(f"cbmir: {old} {REMEDY}", err=True)
    if answer.missing:
        click.echo(f"cbmir: {answer.missing:,} images of the archive have no feature yet: cbmir extract", err=True)
    if answer.recall is not None:
        click.echo(f"cbmir: {approximate(answer.recall)}", err=True)
    if as_json:
        with context.database.read() as session:
            print_json(with_viewers(session, [answer.as_json()])[0])
    else:
        _print_hits(answer.as_json())


def subject_named(subject: str) -> dict[str, Any]:
    """What `cbmir.services.retrieval.retrieve.Question` is told of a file or a UID.

    Raises:
        cbmir.errors.NotFound: if it is neither.
    """
    path = Path(subject)
    if path.is_file():
        return {"data": path.read_bytes(), "name": path.name}
    if all(part.isdigit() for part in subject.split(".")):
        return {"sop_instance_uid": subject}
    raise NotFound(f"{subject} is neither a file nor a SOP Instance UID.", "Check the path.")


def approximate(recall: float) -> str:
    """What is said of an answer that is not exact."""
    return f"the index is approximate: it finds {recall:.1%} of the true 10 nearest (CBMIR_INDEX=exact finds all)."


def _print_hits(answer: dict[str, Any]) -> None:
    if answer["nothing_similar"]:
        click.echo(f"Nothing similar in this archive (confidence {answer['confidence']:.3f}). The nearest are:")
    for hit in answer["hits"]:
        click.echo(_line(hit))
    if answer["priors"]:
        click.echo("Of the same patient's other studies:")
    for hit in answer["priors"]:
        click.echo(f"{_line(hit)}{WHEN[hit['when']]}")


WHEN = {"before": "  (before)", "same day": "  (the same day)", "after": "  (later)", None: ""}
"""What is said of another study of the patient, seen from the query's."""


def _line(hit: dict[str, Any]) -> str:
    labels = " ".join(hit["labels"].values())
    frame = f" frame {hit['frame_number']}" if hit["frame_number"] > 1 else ""
    day = hit["study_date"] or " " * 10
    return f"{hit['rank']:>3}  {hit['distance']:>9.4f}  {day}  {hit['file_name']}{frame}  {labels}"
