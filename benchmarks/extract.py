"""Extraction: each of its stages alone, all of it, and the bare network, also as torch and OpenVINO run it.

    pip install -e .[bench]
    python benchmarks/extract.py [--encoder paper|default] [--pictures 512] [--stored 128] [--side 128] [--rounds 5]
        [--images IMAGES] [--json FILE.json]

Pictures are drawn, `--stored` pixels a side, and kept as the archive keeps them; the encoder is the paper's,
untrained, at `--side`, or the one that comes with cbmir, at its own. All contenders take turns in one run, so that
a neighbour's load hits all alike. Each works in as many threads as there are cores (`taskset -c 0` leaves it one),
in batches of 64. Figures are pictures a second by the clock, and milliseconds of CPU for each, of which the ratio
holds on a busy machine too. torch and OpenVINO have a process of their own; OpenVINO runs the same ONNX models, 64
pictures at once and one by one.

Drawn pictures have no neighbours that mean anything. IMAGES, with a manifest.csv as encoders.py wants it, lets the
default encoder also be asked what 8 bits change: each picture asks for its five nearest of other groups.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import default_encoder
import drawn_encoder
import numpy as np
import openvino_peer
import reporting
import torch
from encoder_images import Images
from sqlalchemy import delete

import cbmir_migrations
from cbmir.encoders import machine, onnx_file
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.quantisation import quantised
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.weights_file import WeightsFile
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.encoders import shipped
from cbmir.services.encoders.quantising import LARGEST_FALL, LEARNED_FROM, LOOKED_AT, Comparison, compared, words
from cbmir.services.features.extract import extract
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import encoders, features, tables
from cbmir.store.session import Database
from cbmir.types import ByteArray, FloatArray

BATCH = 64
PAPER, DEFAULT = "paper", "default"
GOAL = 1.3
"""The project's own: all of it, from stored picture to stored feature, over the network by the fastest runtime."""
FASTEST = "whole over the network by the fastest runtime"
WHOLE, NETWORK, EAGER = "whole", "network", "network by torch eager"
IN_8_BITS = " in 8 bits"
OPENVINO = {BATCH: "network by OpenVINO, 64 at once", 1: "network by OpenVINO, one by one"}
NEAR = 1e-4
"""How far a feature by OpenVINO may be from ours in float32, as a share of the largest number."""
PACKAGES = ("onnxruntime", "openvino", "torch", "numpy", "imagecodecs", "pillow", "sqlalchemy")
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
    def encoder(self) -> OnnxEncoder:
        """Loaded."""
        return loaded(self.row, self.settings)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    with reporting.plain_errors():
        kept = neighbours_kept(arguments.images) if arguments.images else None
    with tempfile.TemporaryDirectory() as folder:
        stock = stocked(Path(folder), arguments)
        own_process = ProcessPoolExecutor(1, get_context("spawn"))
        with ThreadPoolExecutor(machine.cores()) as pool, own_process as peer:
            work = contenders(stock, pool, peer, arguments.encoder)
            figures = taking_turns(work, arguments.pictures, arguments.rounds)
        stock.database.dispose()
    report = {
        **reporting.conditions(*PACKAGES),
        **vars(arguments),
        "figures": figures,
        "ratios": ratios(figures),
        "neighbours": kept and {**kept.as_json(), "serves": kept.serves},
    }
    show(report, kept)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time extraction, stage by stage and as a whole.")
    parser.add_argument("--encoder", choices=(PAPER, DEFAULT), default=PAPER)
    parser.add_argument("--pictures", type=_batches, default=512, help=f"a multiple of {BATCH}")
    parser.add_argument("--stored", type=reporting.positive, default=128, help="pixels a side of a stored picture")
    parser.add_argument("--side", type=reporting.positive, default=128, help="of the paper's encoder's input")
    parser.add_argument("--rounds", type=reporting.positive, default=5)
    parser.add_argument("--images", type=Path, help="real ones, for what 8 bits change in the default encoder")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.images and arguments.encoder != DEFAULT:
        parser.error("--images needs --encoder default: the paper's encoder is untrained here")
    return arguments


def _batches(text: str) -> int:
    count = reporting.positive(text)
    if count % BATCH:
        raise argparse.ArgumentTypeError(f"{text} is no multiple of {BATCH}: every batch is a whole one")
    return count


def stocked(folder: Path, arguments: argparse.Namespace) -> Stock:
    """Fill an installation."""
    count, stored = arguments.pictures, arguments.stored
    settings = Settings(data=folder, batch_size=BATCH)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database, shelf = Database(settings.resolved_database_url), Shelf(settings.pictures)
    keys = [shelf.put(drawn(number, stored)) for number in range(count)]
    encoder_id = shipped.add(database) if arguments.encoder == DEFAULT else None
    with database.write() as session:
        if encoder_id:
            row = encoders.get(session, encoder_id)
        else:
            row = drawn_encoder.add(session, settings, arguments.side)
        instances = [_instance(number, key, stored) for number, key in enumerate(keys)]
        session.add_all(instances)
        session.flush()
        frame_ids = [instance.frames[0].id for instance in instances]
    return Stock(settings, database, row, keys, frame_ids)


def loaded(row: tables.Encoder, settings: Settings) -> OnnxEncoder:
    """An encoder of this package, all of which ONNX Runtime runs."""
    encoder = load_encoder(row, settings)
    assert isinstance(encoder, OnnxEncoder)
    return encoder


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


def contenders(stock: Stock, pool: ThreadPoolExecutor, peer: ProcessPoolExecutor, kind: str) -> dict[str, Work]:
    """What is timed, each on all pictures."""
    shelf, encoder = Shelf(stock.settings.pictures), stock.encoder
    pictures = [shelf.get(key) for key in stock.keys]
    inputs = np.stack([encoder.preprocessing.apply(each) for each in pictures])
    batches = [inputs[at : at + BATCH] for at in range(0, len(inputs), BATCH)]
    vectors, side = encoder.encode(inputs), encoder.preprocessing.side

    def each(work: Callable[[Any], object], things: Sequence[Any]) -> Work:
        pieces = [things[at : at + BATCH] for at in range(0, len(things), BATCH)]
        return lambda: list(pool.map(lambda piece: [work(thing) for thing in piece], pieces))

    small_row = in_8_bits(stock, quantised(encoder.model, inputs[:BATCH]))
    small = loaded(small_row, stock.settings)
    return {
        "read": each(shelf.get, stock.keys),
        "resize": each(encoder.preprocessing.apply, pictures),
        NETWORK: lambda: list(pool.map(encoder.encode, batches)),
        NETWORK + IN_8_BITS: lambda: list(pool.map(small.encode, batches)),
        EAGER: lambda: peer.submit(by_torch, kind, side, len(inputs)).result(),
        **by_openvino(stock.settings.data, {"": encoder, IN_8_BITS: small}, inputs, peer),
        "store": lambda: store(stock, vectors),
        WHOLE: lambda: extract_all(stock, stock.row, len(inputs)),
        WHOLE + IN_8_BITS: lambda: extract_all(stock, small_row, len(inputs)),
    }


def in_8_bits(stock: Stock, model: bytes) -> tables.Encoder:
    """Store the encoder in 8 bits beside the other."""
    encoder = stock.encoder
    file = WeightsFile.of("int8", onnx_file.packed(model, encoder.output, encoder.reduction))
    file.write(stock.settings.weights)
    with stock.database.write() as session:
        return encoders.add(
            session,
            **file.columns(),
            architecture=onnx_file.NAME,
            dimension=encoder.dimension,
            preprocessing=encoder.preprocessing.as_json(),
            training={},
            metrics={},
        )


def by_openvino(
    folder: Path, encoders_by_bits: dict[str, OnnxEncoder], inputs: FloatArray, peer: ProcessPoolExecutor
) -> dict[str, Work]:
    """The same models on the same inputs, in each way that OpenVINO may be asked. In float32 its features must be
    ours: else something else is timed. In 8 bits each runtime rounds in its own way."""
    pictures, work = folder / "inputs.npy", dict[str, Work]()
    np.save(pictures, inputs)
    for bits, encoder in encoders_by_bits.items():
        path = folder / f"network{bits}.onnx"
        path.write_bytes(encoder.model)
        for at_once, name in OPENVINO.items():
            words = (str(path), str(pictures), at_once)
            work[name + bits] = partial(_asked, peer, openvino_peer.seconds, *words)
            if not bits:
                ours = encoder.encode(inputs)
                np.testing.assert_allclose(
                    _asked(peer, openvino_peer.features, *words), ours, atol=NEAR * abs(ours).max(), rtol=0
                )
    return work


def _asked(peer: ProcessPoolExecutor, question: Callable[..., Any], *words: object) -> Any:
    return peer.submit(question, *words).result()


def by_torch(kind: str, side: int, count: int) -> float:
    """The same network on as many pictures, in batches, with torch's own threads; the seconds of CPU it took."""
    network, batch = _in_torch(kind, side), torch.rand(BATCH, 1, side, side)
    began = time.process_time()
    with torch.inference_mode():
        for at in range(0, count, BATCH):
            network(batch[: count - at])
    return time.process_time() - began


@cache
def _in_torch(kind: str, side: int) -> torch.nn.Module:
    torch.set_num_threads(machine.cores())
    network = default_encoder.DefaultEncoder() if kind == DEFAULT else CnnAutoencoder(side).encoder
    return network.eval()


def neighbours_kept(folder: Path) -> Comparison:
    """What 8 bits change in the default encoder, on real pictures, as `cbmir encoders quantise` judges it."""
    images = Images.read(folder)
    chosen = np.unique(np.linspace(0, len(images.paths) - 1, LOOKED_AT).astype(np.int64))
    encoder = default_encoder.load()
    inputs = np.stack([encoder.preprocessing.apply(images.picture(images.paths[row])) for row in chosen])
    model = quantised(encoder.model, inputs[:: max(1, len(inputs) // LEARNED_FROM)])
    small = OnnxEncoder(onnx_file.NAME, model, encoder.preprocessing, encoder.output, encoder.reduction)
    groups = np.unique(images.group[chosen], return_inverse=True)[1].astype(np.int64)
    return compared(encoder.encode(inputs), small.encode(inputs), groups, images.label[chosen].tolist())


def store(stock: Stock, vectors: Any) -> None:
    """Write all features, batch by batch, as extraction does."""
    _forget(stock)
    for at in range(0, len(vectors), BATCH):
        with stock.database.write() as session:
            features.add_batch(session, stock.row, stock.frame_ids[at : at + BATCH], vectors[at : at + BATCH])


def extract_all(stock: Stock, row: tables.Encoder, count: int) -> None:
    """The use case itself."""
    _forget(stock)
    report = extract(stock.database, stock.settings, row.id, Silence())
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
    stages = ("read", "resize", NETWORK, "store")
    slowest = min(stages, key=lambda name: figures[name]["per_second"])
    found = {f"whole over its slowest stage, {slowest}": longer(figures, WHOLE, slowest)}
    for bits in ("", IN_8_BITS):
        found |= _both(figures, f"whole over the network{bits}", WHOLE + bits, NETWORK + bits)
        found |= _both(figures, f"torch eager over ours{bits}", EAGER, NETWORK + bits)
        for name in OPENVINO.values():
            found |= _both(figures, f"{name} over ours{bits}", name + bits, NETWORK + bits)
        found[FASTEST + bits] = longer(figures, WHOLE + bits, fastest(figures, bits))
    return found


def fastest(figures: dict[str, dict[str, float]], bits: str) -> str:
    """The name of the bare network by the runtime that is the fastest by the clock."""
    names = (name + bits for name in (NETWORK, *OPENVINO.values()))
    return max(names, key=lambda name: figures[name]["per_second"])


def longer(figures: dict[str, dict[str, float]], one: str, other: str) -> float:
    """How many times as long one takes, by the clock."""
    return figures[other]["per_second"] / figures[one]["per_second"]


def _both(figures: dict[str, dict[str, float]], name: str, one: str, other: str) -> dict[str, float]:
    of_cpu = figures[one]["cpu_ms"] / figures[other]["cpu_ms"]
    return {name: longer(figures, one, other), f"{name}, CPU": of_cpu}


def show(report: dict[str, Any], kept: Comparison | None) -> None:
    """Print the tables, and whether the goal is reached."""
    print(reporting.heading(report))
    print(f"{'':44} pictures/s   from - to           CPU ms")
    for name, row in report["figures"].items():
        span = f"{row['slowest_per_second']:8.0f} - {row['fastest_per_second']:8.0f}"
        print(f"{name:44} {row['per_second']:10.0f}   {span} {row['cpu_ms']:8.2f}")
    for name, ratio in report["ratios"].items():
        print(f"{name}: {ratio:.2f}")
    if kept:
        print(f"8 bits on {kept.pictures} real pictures: {words(kept)}")
        print(f"goal: precision falls by less than {LARGEST_FALL}; {'yes' if kept.serves else 'no'}")
    for bits in ("", IN_8_BITS) if kept is None or kept.serves else ("",):
        reached = report["ratios"][FASTEST + bits]
        told = f"the whole takes at most {GOAL} times as long as the {fastest(report['figures'], bits)}"
        print(f"goal: {told}; {reached:.2f}: {'yes' if reached <= GOAL else 'no'}")


if __name__ == "__main__":
    main()
