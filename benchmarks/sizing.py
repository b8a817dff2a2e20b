"""What a hospital of 1, 10 and 100 million images needs, computed from figures of the other benchmarks.

    python benchmarks/sizing.py [--check docs/sizing.md] [--json]

It prints the table, and each figure with the command that gave it. What follows from them is extrapolated.
`--check` ends with status 1 if the page holds other tables than those computed here.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

IMAGES = (1_000_000, 10_000_000, 100_000_000)
DAY = 86_400.0
GB = 1e9


@dataclass(frozen=True)
class Figures:
    """What was measured, on two cores, most of it while others used them too. `inputs` says by what."""

    dimension: int = 48
    """Numbers of a feature."""
    database_bytes: float = 1_530.0
    """An image's rows in SQLite: instance, frame, two labels, feature, indices."""
    ledger_bytes: float = 600.0
    """An object's row in an archive's ledger, with its indices."""
    picture_bytes: float = 58_000.0
    """A stored picture of 512 x 512 pixels."""
    ingested_a_second: Mapping[str, float] = field(
        default_factory=lambda: {"native": 305.0, "JPEG-LS": 148.0, "JPEG 2000": 53.5}
    )
    """Objects of 512 x 512 pixels of 12 bits that two cores convert and record, by how they are compressed."""
    extracted_a_second: float = 389.0
    """Features that two cores extract by the encoder that comes with cbmir, from stored pictures of 512 x 512."""
    fetched_a_second: float = 270.0
    """Objects of 128 KB that an archive lists and gives by DICOMweb."""
    index_bytes: float = 267.0
    """Of memory that a feature takes in the index: its numbers, its codes, its id, its part of the bounds."""
    sweep_bytes_a_second: float = 10e9
    """Memory that one core reads."""
    sweep_share: float = 0.055
    """Of one sweep over all features that an exact search takes, on a million drawn in clusters."""


@dataclass(frozen=True)
class Size:
    """What one hospital needs."""

    images: int
    database_gb: float
    pictures_tb: float
    index_gb: float
    days_on_two_cores: Mapping[str, float]
    cores_for_a_week: Mapping[str, int]
    days_of_the_archive: float
    query_ms: float
    backend: str


INTERACTIVE_MS = 200.0
"""A search that takes longer is felt."""


def size(images: int, figures: Figures) -> Size:
    """What so many images need."""
    days = {name: images * seconds / DAY for name, seconds in indexing_seconds(figures).items()}
    swept = images * figures.dimension * 4 / figures.sweep_bytes_a_second
    query_ms = 1000 * swept * figures.sweep_share
    return Size(
        images=images,
        database_gb=images * (figures.database_bytes + figures.ledger_bytes) / GB,
        pictures_tb=images * figures.picture_bytes / 1e12,
        index_gb=images * figures.index_bytes / GB,
        days_on_two_cores=days,
        cores_for_a_week={name: max(1, math.ceil(2 * each / 7)) for name, each in days.items()},
        days_of_the_archive=images / figures.fetched_a_second / DAY,
        query_ms=query_ms,
        backend="exact" if query_ms <= INTERACTIVE_MS else "hnsw",
    )


def indexing_seconds(figures: Figures) -> dict[str, float]:
    """Of two cores for one object, from its file to its stored feature, by how it is compressed."""
    extraction = 1 / figures.extracted_a_second
    return {name: 1 / rate + extraction for name, rate in figures.ingested_a_second.items()}


def table(sizes: list[Size]) -> str:
    """What each hospital needs."""
    rows = {
        "database (PostgreSQL from 10 million on)": [f"{each.database_gb:,.1f} GB" for each in sizes],
        "stored pictures, 512 x 512": [f"{each.pictures_tb:,.2f} TB" for each in sizes],
        "memory of the index, once a host": [f"{each.index_gb:,.1f} GB" for each in sizes],
    }
    for name in sizes[0].days_on_two_cores:
        rows[f"first indexing on two cores, {name}"] = [_time(each.days_on_two_cores[name]) for each in sizes]
    for name in sizes[0].cores_for_a_week:
        rows[f"cores that do it in a week, {name}"] = [str(each.cores_for_a_week[name]) for each in sizes]
    rows |= {
        "what the archive alone takes to give them": [_time(each.days_of_the_archive) for each in sizes],
        "one exact search on one core": [f"{each.query_ms:,.0f} ms" for each in sizes],
        "backend": [each.backend for each in sizes],
    }
    return _lines(["", *(f"{each.images:,} images" for each in sizes)], rows)


def inputs(figures: Figures) -> str:
    """Each figure, and what gave it."""
    ingested = ", ".join(f"{name} {rate:g}" for name, rate in figures.ingested_a_second.items())
    rows = {
        "an image's rows in SQLite": [
            f"{figures.database_bytes:,.0f} bytes",
            "`python benchmarks/json_exchange.py --rows 50000`",
        ],
        "an object's row in the ledger": [
            f"{figures.ledger_bytes:,.0f} bytes",
            "counted from its columns",
        ],
        "a stored picture, 512 x 512": [
            f"{figures.picture_bytes:,.0f} bytes",
            "the mean of 69 public CT and MR slices: the folder `pictures` after `cbmir ingest`",
        ],
        "objects of 512 x 512 ingested a second": [ingested, "`python benchmarks/extract_dicom.py`: ingest"],
        "features extracted a second": [
            f"{figures.extracted_a_second:g}",
            "the same: extract, by the encoder that comes with cbmir",
        ],
        "objects of 128 KB that Orthanc gives a second": [
            f"{figures.fetched_a_second:g}",
            "`python benchmarks/archive.py sync --kinds dicomweb`: bring",
        ],
        "a feature in the index": [
            f"{figures.index_bytes:g} bytes",
            "`cbmir index status`: 53.4 MB for 200,000 features",
        ],
        "memory that one core reads": [
            f"{figures.sweep_bytes_a_second / GB:g} GB/s",
            "`python benchmarks/index.py`: one sweep",
        ],
        "share of a sweep that an exact search takes": [
            f"{figures.sweep_share:g}",
            "the same: a million drawn features",
        ],
    }
    return _lines(["input", "figure", "by"], rows)


def _lines(head: list[str], rows: Mapping[str, list[str]]) -> str:
    lines = [f"| {' | '.join([name, *row])} |" for name, row in rows.items()]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines])


def _time(days: float) -> str:
    return f"{days:,.1f} days" if days >= 2 else f"{24 * days:,.1f} hours"


def main() -> int:
    """Print the tables, or say whether a page holds them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=Path, metavar="PAGE")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = [size(images, Figures()) for images in IMAGES]
    tables = table(sizes), inputs(Figures())
    if arguments.check:
        page = arguments.check.read_text(encoding="utf-8")
        return int(not all(each in page for each in tables))
    print(json.dumps([asdict(each) for each in sizes], indent=2) if arguments.json else "\n\n".join(tables))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
