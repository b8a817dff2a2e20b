"""Are explanations true, and what do they cost? The deletion test on an installation's own images.

    python benchmarks/explain.py --data DIR [--encoder ID] [--queries 30] [--seed 0] [--json FILE]

Each query is an image of the installation that the encoder was not trained on, as the new ones of an archive are;
its hit is the nearest image of another patient. A tenth to a half of the query's cells are covered in the order of
its heat map, the strongest first; in that of the same map elsewhere; in reverse; and in the order of how much
detail they hold, which a cover takes away. Printed is by how much the distance has grown, in the mean, in parts of
the first distance. The time of a map is given beside that of encoding as many pictures at once, its limit; both
take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import reporting
from PIL import Image
from sqlalchemy.orm import Session

from cbmir.encoders import base, occlusion
from cbmir.errors import EmptyGallery
from cbmir.evaluation.deletion import deletion
from cbmir.pictures.shelf import Shelf
from cbmir.services.features.loading import load_encoder
from cbmir.services.retrieval.confidence.calibrate import crowd, sample
from cbmir.services.retrieval.gallery import GALLERIES
from cbmir.services.training import lineage
from cbmir.settings import Settings
from cbmir.store import encoders, frames
from cbmir.store.session import Database
from cbmir.store.tables import Encoder
from cbmir.types import FloatArray, IdArray, Part


def main() -> None:
    """Ask, test, and print medians and quartiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=reporting.installation, required=True)
    parser.add_argument("--encoder")
    parser.add_argument("--queries", type=reporting.positive, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    settings = Settings(data=asked.data)
    database = Database(settings.resolved_database_url)
    with reporting.plain_errors():
        result = {"machine": machine(), **tested(database, settings, asked.encoder, asked.queries, asked.seed)}
    show(result)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2), "utf-8")


def machine() -> dict[str, str]:
    """What the times were taken on."""
    cores, busy = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": str(cores),
        "load": f"{busy:.1f}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }


def tested(
    database: Database, settings: Settings, encoder_id: str | None, queries: int, seed: int
) -> dict[str, Any]:
    """The figures of every query."""
    shelf = Shelf(settings.pictures)
    with database.read() as session:
        row = encoders.usable(session, encoder_id)
        gallery = GALLERIES.of(database, session, row, settings)
        chosen = sample(*strange(session, row), queries, seed)
        nearest = crowd(session, gallery).others(chosen)
        keys = frames.pictures(session, row.id)
    if not len(chosen):
        reason = f"{row.id} has no features of two patients, or was trained on all of them."
        raise EmptyGallery(reason, f"Run `cbmir extract --encoder {row.id}`, or ingest more.")
    encoder = load_encoder(row, settings)
    rows = []
    for query, ranking in zip(chosen, nearest, strict=True):
        both = [encoder.preprocessing.apply(shelf.get(keys[each])) for each in (query, ranking[0][0])]
        rows.append(one(encoder, both[0], encoder.encode(both[1][np.newaxis])[0], seed))
    return {"encoder": row.id, "queries": len(rows), "rows": rows}


def strange(session: Session, row: Encoder) -> tuple[IdArray, IdArray]:
    """Frames, and their groups, that an encoder was neither trained on nor chosen by."""
    parts = lineage.of(session, row).parts
    frame_ids, group_ids = frames.grouped(session, row.id)
    are = np.array([parts.get(group, Part.TEST) is Part.TEST for group in group_ids.tolist()], bool)
    return frame_ids[are], group_ids[are]


def one(encoder: base.Encoder, prepared: FloatArray, other: FloatArray, seed: int) -> dict[str, float]:
    """One query: its map put to the test, and what it took."""
    copies = np.repeat(prepared[np.newaxis], occlusion.COPIES, axis=0)
    limit, _ = timed(lambda: encoder.encode(copies))
    took, drive = timed(lambda: occlusion.drive(encoder.encode, prepared, other))
    far = partial(occlusion.distances, encoder.encode, prepared, other)
    found, by_detail = deletion(far, drive, seed), deletion(far, detail(prepared), seed).by_map
    seconds = {"map_seconds": took, "limit_seconds": limit, "ratio": took / limit}
    return {**asdict(found), "by_detail": by_detail, **seconds}


def detail(prepared: FloatArray) -> FloatArray:
    """How much a cover takes away of each cell: float32 (16, 16)."""
    gone = Image.fromarray(np.abs(prepared - occlusion.blurred(prepared)).mean(axis=0), "F")
    return np.asarray(gone.resize((occlusion.CELLS, occlusion.CELLS), Image.Resampling.BOX))


def timed(work: Callable[[], FloatArray]) -> tuple[float, FloatArray]:
    """Seconds, and what was made."""
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def show(result: dict[str, Any]) -> None:
    """Medians and quartiles, a line each."""
    print(" | ".join(f"{name} {value}" for name, value in result["machine"].items()))
    print(f"{result['encoder']}, {result['queries']} queries")
    for name in result["rows"][0]:
        low, middle, high = reporting.quartiles([row[name] for row in result["rows"]])
        print(f"{name:<18}{middle:>9.3f}   quartiles {low:.3f} to {high:.3f}")
    for rival in ("by_chance", "by_detail"):
        better = sum(row["by_map"] > row[rival] for row in result["rows"])
        print(f"by_map above {rival} in {better} of {result['queries']}")


if __name__ == "__main__":
    main()
