"""Extraction: each of its stages alone, all of it, and the bare network, also as torch runs it.

    python benchmarks/extract.py [--pictures 512] [--stored 128] [--side 128] [--rounds 5] [--json FILE.json]

Pictures are drawn, `--stored` pixels a side, and kept as the archive keeps them; the encoder is the paper's,
untrained, at `--side`. All contenders take turns in one run, so that a neighbour's load hits all alike. Each works
in as many threads as there are cores. Figures are pictures a second by the clock, and milliseconds of CPU for each,
of which the ratio holds on a busy machine too. torch has a process of its own, with the memory it is born with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import drawn_encoder
import numpy as np
import reporting
import torch
from sqlalchemy import delete

import cbmir_migrations
from cbmir.encoders import machine
from cbmir.encoders.base import Encoder
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.quantisation import quantised
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.features.extract import extract, load_encoder
from cbmir.settings import Settings
from cbmir.store import features, tables
from cbmir.store.session import Database
from cbmir.types import ByteArray

BATCH = 64
PACKAGES = ("onnxruntime", "torch", "numpy", "imagecodecs", "pillow", "sqlalchemy")
Work = Callable[[], object]
"""Returns the seconds of CPU that another process spent for it, if one did."""


@dataclass(frozen=True)
class Stock:
    """An installation with pictures and an encoder, and what the stages work on."""

    settings: Settings
    database: Database
    row: tables.Encoder
    keys: list[str]
    frame_ids: list[int]

    @property
    def encoder(self) -> Encoder:
        return load_encoder(self.row, self.settings)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        stock = stocked(Path(folder), arguments.pictures, arguments.stored, arguments.side)
        own_process = ProcessPoolExecutor(1, get_context("spawn"))
        with ThreadPoolExecutor(machine.cores()) as pool, own_process as peer:
            figures = taking_turns(contenders(stock, pool, peer), arguments.pictures, arguments.rounds)
        stock.database.dispose()
    report = {**reporting.conditions(*PACKAGES), **vars(arguments), "figures": figures, "ratios": ratios(figures)}
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time extraction, stage by stage and as a whole.")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--stored", type=int, default=128, help="pixels a side of a stored picture")
    parser.add_argument("--side", type=int, default=128, help="of the encoder's input")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def stocked(folder: Path, count: int, stored: int, side: int) -> Stock:
    """Fill an installation."""
    settings = Settings(data=folder, batch_size=BATCH)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database, shelf = Database(settings.resolved_database_url), Shelf(settings.pictures)
    keys = [shelf.put(drawn(number, stored)) for number in range(count)]
    with database.write() as session:
        row = drawn_encoder.add(session, settings, side)
        instances = [_instance(number, key, stored) for number, key in enumerate(keys)]
        session.add_all(instances)
        session.flush()
        frame_ids = [instance.frames[0].id for instance in instances]
    return Stock(settings, database, row, keys, frame_ids)


def drawn(number: int, side: int) -> ByteArray:
    """Soft shapes with the noise of a detector: as large when compressed as a radiograph is."""
    random = np.random.default_rng(number)
    coarse = torch.from_numpy(random.normal(size=(1, 1, 9, 9)).astype(np.float32))
    soft = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")[0, 0].numpy()
    pixels: ByteArray = np.clip(110 + 50 * soft + random.normal(0, 2, (side, side)), 0, 255).astype(np.uint8)
    return pixels


def _instance(number: int, key: str, side: int) -> tables.Instance:
    frame = tables.Frame(frame_number=1, picture=key, rows=side, columns=side, pipeline="drawn")
    group = tables.Group(key=f"p-{number}")
    return tables.Instance(group=group, file_name=f"{number}.png", sha256=f"{number:064x}", frames=[frame])


def contenders(stock: Stock, pool: ThreadPoolExecutor, peer: ProcessPoolExecutor) -> dict[str, Work]:
    """What is timed, each on all pictures."""
    shelf, encoder = Shelf(stock.settings.pictures), stock.encoder
    data = [shelf.png(key) for key in stock.keys]
    pictures = [shelf.get(key) for key in stock.keys]
    inputs = np.stack([encoder.preprocessing.apply(each) for each in pictures])
    batches = [inputs[at : at + BATCH] for at in range(0, len(inputs), BATCH)]
    vectors, side = encoder.encode(inputs), encoder.preprocessing.side

    def each(work: Callable[[Any], object], things: Sequence[Any]) -> Work:
        pieces = [things[at : at + BATCH] for at in range(0, len(things), BATCH)]
        return lambda: list(pool.map(lambda piece: [work(thing) for thing in piece], pieces))

    assert isinstance(encoder, OnnxEncoder)
    small = OnnxEncoder("8 bits", quantised(encoder.model, inputs[:BATCH]), encoder.preprocessing)
    return {
        "read": each(shelf.png, stock.keys),
        "read and decode": each(shelf.get, stock.keys),
        "resize": each(encoder.preprocessing.apply, pictures),
        "network": lambda: list(pool.map(encoder.encode, batches)),
        "network in 8 bits": lambda: list(pool.map(small.encode, batches)),
        "network by torch eager": lambda: peer.submit(by_torch, side, len(data)).result(),
        "store": lambda: store(stock, vectors),
        "whole": lambda: extract_all(stock, len(data)),
    }


def by_torch(side: int, count: int) -> float:
    """The same network on as many pictures, in batches, with torch's own threads; the seconds of CPU it took."""
    half, batch = _half(side), torch.rand(BATCH, 1, side, side)
    began = time.process_time()
    with torch.inference_mode():
        for at in range(0, count, BATCH):
            half(batch[: count - at])
    return time.process_time() - began


@cache
def _half(side: int) -> torch.nn.Module:
    torch.set_num_threads(machine.cores())
    return CnnAutoencoder(side).encoder.eval()


def store(stock: Stock, vectors: Any) -> None:
    """Write all features, batch by batch, as extraction does."""
    _forget(stock)
    for at in range(0, len(vectors), BATCH):
        with stock.database.write() as session:
            features.add_batch(session, stock.row, stock.frame_ids[at : at + BATCH], vectors[at : at + BATCH])


def extract_all(stock: Stock, count: int) -> None:
    """The use case itself."""
    _forget(stock)
    report = extract(stock.database, stock.settings, stock.row.id, Silence())
    assert report["extracted"] == count, report


def _forget(stock: Stock) -> None:
    with stock.database.write() as session:
        session.execute(delete(tables.Feature))


def taking_turns(work: dict[str, Work], pictures: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds; the first round, which warms up, does not count."""
    clock: dict[str, list[float]] = {name: [] for name in work}
    cpu: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, do in work.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            elsewhere = do()
            if number:
                clock[name].append(time.perf_counter() - began)
                own = time.process_time() - began_cpu
                cpu[name].append(elsewhere if isinstance(elsewhere, float) else own)
    return {
        name: {
            "per_second": pictures / median(clock[name]),
            "slowest_per_second": pictures / max(clock[name]),
            "fastest_per_second": pictures / min(clock[name]),
            "cpu_ms": 1000 * median(cpu[name]) / pictures,
        }
        for name in work
    }


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """The whole over its slowest stage and over the network; torch over ours. By the clock, and of CPU."""
    stages = ("read and decode", "resize", "network", "store")
    slowest = min(stages, key=lambda name: figures[name]["per_second"])
    names = ("whole", "network", "network in 8 bits", "network by torch eager")
    whole, network, small, eager = (figures[name] for name in names)
    return {
        f"whole over its slowest stage, {slowest}": figures[slowest]["per_second"] / whole["per_second"],
        "whole over the network": network["per_second"] / whole["per_second"],
        "whole over the network, CPU": whole["cpu_ms"] / network["cpu_ms"],
        "torch eager over ours": network["per_second"] / eager["per_second"],
        "torch eager over ours, CPU": eager["cpu_ms"] / network["cpu_ms"],
        "torch eager over ours in 8 bits": small["per_second"] / eager["per_second"],
        "torch eager over ours in 8 bits, CPU": eager["cpu_ms"] / small["cpu_ms"],
    }


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    print(reporting.heading(report))
    print(f"{'':24} pictures/s   from - to           CPU ms")
    for name, row in report["figures"].items():
        span = f"{row['slowest_per_second']:8.0f} - {row['fastest_per_second']:8.0f}"
        print(f"{name:24} {row['per_second']:10.0f}   {span} {row['cpu_ms']:8.2f}")
    for name, ratio in report["ratios"].items():
        print(f"{name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
