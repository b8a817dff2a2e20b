"""What a hospital of 1, 10 and 100 million images needs, computed from figures of the other benchmarks.

    python benchmarks/sizing.py [--check docs/sizing.md] [--json]

Each figure says whether it was measured, and by what; what follows from it by arithmetic alone is extrapolated.
`--check` ends with status 1 if the page holds another table than the one computed here.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

IMAGES = (1_000_000, 10_000_000, 100_000_000)
DAY = 86_400.0
GB = 1e9


@dataclass(frozen=True)
class Figures:
    """What was measured, on two shared cores of 2023; a newer machine is better."""

    dimension: int = 48
    """Numbers of a feature."""
    database_bytes: float = 1_430.0
    """An image's rows in SQLite: instance, frame, two labels, feature, indices. `json_exchange.py`, 50,000 rows."""
    ledger_bytes: float = 600.0
    """An object's row in an archive's ledger, with its indices. Counted from the columns, not measured."""
    picture_bytes: float = 57_000.0
    """A stored picture of 512 x 512 pixels: the mean of a few public CT and MR slices of that size."""
    convert_seconds: float = 0.0035
    """Of one core, to convert and record an object of 128 KB. `archive.py sync`."""
    extract_seconds: float = 1 / 270
    """Of one core, to extract a feature with torch at 128 x 128. The anchors of the extraction."""
    fetch_a_second: float = 270.0
    """Objects that an archive gives by DICOMweb. `archive.py sync`; a PACS in use gives fewer."""
    index_bytes: float = 48 * 4 + 48 + 8 + 8
    """Of memory that a feature takes in the index: its numbers, its codes, its id, its part of the bounds."""
    sweep_bytes_a_second: float = 10e9
    """Memory that one core reads."""
    sweep_share: float = 0.055
    """Of one sweep over all features that an exact search takes, on a million drawn in clusters. `index.py`."""


@dataclass(frozen=True)
class Size:
    """What one hospital needs."""

    images: int
    database_gb: float
    pictures_tb: float
    index_gb: float
    days_on_two_cores: float
    cores_for_a_week: int
    days_of_the_archive: float
    query_ms: float
    backend: str


INTERACTIVE_MS = 200.0
"""A search that takes longer is felt."""


def size(images: int, figures: Figures) -> Size:
    """What so many images need."""
    seconds = images * (figures.convert_seconds + figures.extract_seconds)
    swept = images * figures.dimension * 4 / figures.sweep_bytes_a_second
    query_ms = 1000 * swept * figures.sweep_share
    return Size(
        images=images,
        database_gb=images * (figures.database_bytes + figures.ledger_bytes) / GB,
        pictures_tb=images * figures.picture_bytes / 1e12,
        index_gb=images * figures.index_bytes / GB,
        days_on_two_cores=seconds / 2 / DAY,
        cores_for_a_week=max(1, math.ceil(seconds / (7 * DAY))),
        days_of_the_archive=images / figures.fetch_a_second / DAY,
        query_ms=query_ms,
        backend="exact" if query_ms <= INTERACTIVE_MS else "an approximate one (not built yet)",
    )


def table(sizes: list[Size]) -> str:
    """The table of the page."""
    lines = [f"| | {' | '.join(f'{each.images:,} images' for each in sizes)} |", "|---|" + "---|" * len(sizes)]
    rows = {
        "database (PostgreSQL from 10 million on)": [f"{each.database_gb:,.1f} GB" for each in sizes],
        "stored pictures, 512 x 512": [f"{each.pictures_tb:,.2f} TB" for each in sizes],
        "memory of the index, once a host": [f"{each.index_gb:,.1f} GB" for each in sizes],
        "first indexing on two cores": [_time(each.days_on_two_cores) for each in sizes],
        "cores that do it in a week": [str(each.cores_for_a_week) for each in sizes],
        "what the archive alone takes to give them": [_time(each.days_of_the_archive) for each in sizes],
        "one exact search on one core": [f"{each.query_ms:,.0f} ms" for each in sizes],
        "backend": [each.backend for each in sizes],
    }
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())])


def _time(days: float) -> str:
    return f"{days:,.1f} days" if days >= 2 else f"{24 * days:,.1f} hours"


def main() -> int:
    """Print the table, or say whether a page holds it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=Path, metavar="PAGE")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = [size(images, Figures()) for images in IMAGES]
    if arguments.check:
        return int(table(sizes) not in arguments.check.read_text(encoding="utf-8"))
    print(json.dumps([asdict(each) for each in sizes], indent=2) if arguments.json else table(sizes))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
