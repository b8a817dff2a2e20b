"""`cbmir convert`: files to PNGs and a manifest, without an archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from cbmir.cli.context import Context
from cbmir.dicom.choice import check_policy
from cbmir.dicom.frames import WHOLE
from cbmir.dicom.rendering import CROPS, WAVEFORMS, Rendering, read_window
from cbmir.errors import BadRequest
from cbmir.services.conversion.develop import MANIFEST, Developed, Entry, Wanted, develop, write_manifest


@click.command("convert")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Where to."
)
@click.option(
    "--window",
    default="auto",
    metavar="CENTER,WIDTH|auto|voi|full|all",
    help="Of grey pictures. auto: the object's own, else by percentiles; voi: its own, else all values; "
    "full: all values; all: a picture for each of its own windows.",
)
@click.option(
    "--size", type=click.IntRange(1), metavar="N", help="Longest side in pixels, instead of all there are."
)
@click.option(
    "--frames", default="all", metavar="POLICY", help="all (the default), every:N, spread, or representative."
)
@click.option("--crop", type=click.Choice(CROPS), default="none", help="tissue: only the region that holds tissue.")
@click.option("--overlays", is_flag=True, help="Draw overlay planes.")
@click.option("--waveform", type=click.Choice(WAVEFORMS), default="traces", help="How ECG and EEG are drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest too.")
@click.pass_obj
def convert_command(
    context: Context,
    paths: tuple[Path, ...],
    out: Path,
    window: str,
    size: int | None,
    frames: str,
    crop: str,
    overlays: bool,
    waveform: str,
    as_json: bool,
) -> int:
    """Turn DICOM objects and image files into PNGs, one for each frame.

    DIR/manifest.json says of each file what it is and how each picture was made, step by step, or why not. Ends
    with status 1 if no file could be converted, or one could not be read at all.
    """
    try:
        shade = "voi" if window == "all" else read_window(window)
        wanted = Wanted(Rendering(shade, 1, size or WHOLE, crop, overlays, waveform), every_window=window == "all")
        check_policy(frames)
    except BadRequest as error:
        raise click.UsageError(error.sentence) from error
    _refuse_own_output(paths, out)
    settings = replace(context.settings, frames=frames)
    with context.progress("convert") as progress:
        entries = _reported(develop(paths, out, wanted, settings, progress))
        counts = write_manifest(out / MANIFEST, entries)
    click.echo((out / MANIFEST).read_text() if as_json else _summary(counts, out), nl=not as_json)
    return 1 if counts.unread or not counts.objects else 0


def _refuse_own_output(paths: Iterable[Path], out: Path) -> None:
    """Refuse to write among what is read, where a second run would convert the PNGs of the first, or over those."""
    if (out / MANIFEST).exists():
        raise BadRequest(f"{out} holds an earlier conversion.", "Choose another folder, or remove that one.")
    for path in paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise BadRequest(f"{out} lies within {path}, which is to be converted.", "Choose a folder elsewhere.")


def _reported(entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if error := entry.get("error"):
            click.echo(f"cbmir: {error['reason']} {error['remedy']}".rstrip(), err=True)
        yield entry


def _summary(counts: Developed, out: Path) -> str:
    failed = counts.refused + counts.unread
    said = f"{counts.pictures:,} pictures of {counts.objects:,} objects in {out}; {failed:,} not converted."
    return f"{said} How and why: {out / MANIFEST}"
