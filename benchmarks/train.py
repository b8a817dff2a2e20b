"""Training the paper's autoencoder: ours beside plain torch and TensorFlow, and beside its limit, in one run.

    python benchmarks/train.py [--side 128] [--batch 32] [--rounds 5] [--threads 1] [--json train.json]

Each contender is a process of its own. They take turns, a batch each, so that a neighbour's load on the machine
hits all alike: ratios hold better than rates. Rates are given by the wall clock and by the processor time that was
used; on a busy machine only the latter mean something, as a process that has to wait uses none. The mathematics is
the same: float32, mean squared error, Adam with the paper's decay; the pictures are read from a mapped file, others
each round, and scaled, within what is timed. TensorFlow (extra `bench`) is tried with and without its oneDNN.

The limit is matrix products of as many operations as the network's convolutions and dense layers need, in both
directions, at the rate that torch's library reaches on this processor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import children
import numpy as np
import reporting

from cbmir.encoders.base import scaled

FILTERS, DIMENSION = 128, 48
PICTURES = 256
LIMIT = "limit: a matrix product"
OURS = "cbmir"
CONTENDERS: dict[str, dict[str, str]] = {
    LIMIT: {},
    OURS: {},
    "torch, plain": {},
    "TensorFlow": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "TensorFlow, oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1"},
}
"""Name -> environment."""
OPEN = ExitStack()
"""What a contender holds until its process ends."""
Rows = Any
Step = Callable[[Rows], tuple[float, float]]
"""Trains with a batch of rows: the loss, and the seconds spent on making the batch."""


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    if arguments.child:
        _serve(arguments)
        return
    result: dict[str, Any] = {
        "machine": machine(),
        "side": arguments.side,
        "batch": arguments.batch,
        "threads": arguments.threads,
        "gigaflop_a_picture": operations(arguments.side) / 1e9,
    }
    print(" | ".join(f"{name} {value}" for name, value in result["machine"].items()))
    result["contenders"] = tabulate(take_turns(arguments), arguments.side, arguments.batch)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the training beside its peers.")
    parser.add_argument("--side", type=reporting.positive, default=128)
    parser.add_argument("--batch", type=reporting.positive, default=32)
    parser.add_argument("--rounds", type=reporting.positive, default=5)
    parser.add_argument("--threads", type=reporting.positive, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--pictures", help=argparse.SUPPRESS)
    return parser.parse_args()


def machine() -> dict[str, str]:
    """What the times are taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if cpuinfo.exists()
        else []
    )
    return {
        "processor": names[0].partition(": ")[2] if names else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{name: _version(package) for name, package in (("torch", "torch"), ("TensorFlow", "tensorflow-cpu"))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def operations(side: int) -> int:
    """Floating point operations of one picture, forward and backward; a multiplication and an addition are two."""
    halves = [(side // 2**n) ** 2 for n in (1, 2, 3)]  # pixels of the small picture of each pair of layers
    inner = FILTERS * FILTERS * 9
    first = halves[0] * FILTERS * 9
    middle = inner * (halves[1] + halves[2])  # convolutions
    dense = 2 * halves[2] * FILTERS * DIMENSION
    back = inner * sum(halves)  # transposed
    last = side * side * FILTERS * 9
    return 2 * (2 * first + 3 * (middle + dense + back + last))  # the first asks for no gradient of the picture


def take_turns(arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """What each contender says of each of its batches; one that is not installed is left out."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures.npy"
        np.save(pictures, drawn(arguments.side))
        numbers = [f"--{each}={getattr(arguments, each)}" for each in ("side", "batch", "threads")]
        rows = [
            np.random.default_rng(turn).integers(0, PICTURES, arguments.batch).tolist()
            for turn in range(arguments.rounds + 1)
        ]
        contenders = {
            name: {**children.one_device(arguments.threads), **environment}
            for name, environment in CONTENDERS.items()
            if _is_installed(name)
        }
        return children.take_turns(contenders, [__file__, f"--pictures={pictures}", *numbers], rows)


def _is_installed(name: str) -> bool:
    return not name.startswith("TensorFlow") or _version("tensorflow-cpu") != "not installed"


def drawn(side: int) -> Any:
    """uint8 (256, 1, side, side): discs of any place, size and brightness on a noisy ground."""
    random, (rows, columns) = np.random.default_rng(0), np.mgrid[:side, :side]
    pictures = random.integers(0, 40, (PICTURES, 1, side, side), dtype=np.uint8)
    for picture in pictures:
        at, radius = random.integers(side // 4, 3 * side // 4, 2), random.integers(side // 8, side // 4)
        picture[0][(rows - at[0]) ** 2 + (columns - at[1]) ** 2 < radius**2] += np.uint8(random.integers(60, 200))
    return pictures


def _serve(arguments: argparse.Namespace) -> None:
    """A contender: a batch for each line of rows, and a line of what it took."""
    pictures = np.load(arguments.pictures, mmap_mode="r")
    step = STEPS[arguments.child](pictures, arguments)
    for line in sys.stdin:
        rows = np.array(json.loads(line), np.int64)
        wall, processor = time.perf_counter(), time.process_time()
        loss, loading = step(rows)
        taken = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
        print(json.dumps({**taken, "loading_seconds": loading, "loss": loss}), flush=True)


def limit(_pictures: Any, arguments: argparse.Namespace) -> Step:
    """Products of the shape that the network's layers come down to."""
    import torch

    torch.set_num_threads(arguments.threads)
    pixels, taps = 1024, 9 * FILTERS
    left, right = torch.rand(pixels, taps), torch.rand(taps, FILTERS)

    def step(_rows: Rows) -> tuple[float, float]:
        for _ in range(PRODUCTS):
            torch.mm(left, right)
        return 0.0, 0.0

    return step


PRODUCTS = 60
"""Of the limit: 0.3 GFLOP each."""


def limit_share(side: int, batch: int) -> float:
    """How many batches of the network the limit's products are worth."""
    return PRODUCTS * 2 * 1024 * 9 * FILTERS * FILTERS / (operations(side) * batch)


def ours(pictures: Any, arguments: argparse.Namespace) -> Step:
    """As `cbmir train` does it; the loading is that of one thread after the other."""
    import torch

    from cbmir.encoders import machine
    from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
    from cbmir.training import gradients
    from cbmir.training.loop import Recipe
    from cbmir.training.objectives import reconstruction

    machine.keep_memory()
    network = CnnAutoencoder(arguments.side).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.initialise(0)
    pool = OPEN.enter_context(gradients.workers(arguments.threads))
    losses = gradients.Losses(network, pictures, reconstruction, pool)
    recipe, spent = Recipe(), [0.0]
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, eps=recipe.epsilon, fused=True)

    def timed(values: Any) -> Any:
        start = time.perf_counter()
        made = scaled(values)
        spent[0] += time.perf_counter() - start
        return made

    gradients.scaled = timed  # type: ignore[attr-defined]

    def step(rows: Rows) -> tuple[float, float]:
        spent[0] = 0.0
        loss = losses.descend(rows)
        optimiser.step()
        return loss, spent[0] / arguments.threads

    return step


def plain(pictures: Any, arguments: argparse.Namespace) -> Step:
    """torch as its tutorials write it."""
    import torch
    from torch import nn

    torch.set_num_threads(arguments.threads)
    small = arguments.side // 8
    down = [layer for n in (1, FILTERS, FILTERS) for layer in (nn.Conv2d(n, FILTERS, 3, 2, 1), nn.LeakyReLU(0.2))]
    up = [
        layer for _ in range(3) for layer in (nn.ConvTranspose2d(FILTERS, FILTERS, 3, 2, 1, 1), nn.LeakyReLU(0.2))
    ]
    flat = FILTERS * small * small
    network = nn.Sequential(
        *down,
        nn.Flatten(),
        nn.Linear(flat, DIMENSION),
        nn.Linear(DIMENSION, flat),
        nn.Unflatten(1, (FILTERS, small, small)),
        *up,
        nn.ConvTranspose2d(FILTERS, 1, 3, padding=1),
        nn.Sigmoid(),
    )
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, eps=1e-7)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + 2e-5 * step))

    def step(rows: Rows) -> tuple[float, float]:
        start = time.perf_counter()
        inputs = torch.from_numpy(scaled(pictures[rows]))
        loading = time.perf_counter() - start
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(inputs), inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
        return loss.item(), loading

    return step


def tensorflow(pictures: Any, arguments: argparse.Namespace) -> Step:
    """Keras as its tutorials write it, compiled to a graph."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras, layers, small = tf.keras, tf.keras.layers, arguments.side // 8
    network = keras.Sequential([keras.Input((arguments.side, arguments.side, 1))])
    for _ in range(3):
        network.add(layers.Conv2D(FILTERS, 3, 2, "same"))
        network.add(layers.LeakyReLU(negative_slope=0.2))
    for layer in (layers.Flatten(), layers.Dense(DIMENSION), layers.Dense(small * small * FILTERS)):
        network.add(layer)
    network.add(layers.Reshape((small, small, FILTERS)))
    for _ in range(3):
        network.add(layers.Conv2DTranspose(FILTERS, 3, 2, "same"))
        network.add(layers.LeakyReLU(negative_slope=0.2))
    network.add(layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid"))
    network.compile(keras.optimizers.Adam(keras.optimizers.schedules.InverseTimeDecay(1e-3, 1, 2e-5)), "mse")

    def step(rows: Rows) -> tuple[float, float]:
        start = time.perf_counter()
        inputs = scaled(pictures[rows]).transpose(0, 2, 3, 1)
        loading = time.perf_counter() - start
        return float(network.train_on_batch(inputs, inputs)), loading

    return step


STEPS: dict[str, Callable[[Any, argparse.Namespace], Step]] = {
    LIMIT: limit,
    OURS: ours,
    "torch, plain": plain,
    "TensorFlow": tensorflow,
    "TensorFlow, oneDNN": tensorflow,
}


def tabulate(said: dict[str, list[dict[str, float]]], side: int, batch: int) -> dict[str, Any]:
    """Print and return pictures a second, spread, our ratio to each, and the share of time spent making batches."""
    share = limit_share(side, batch)
    table = {name: _row(rounds, batch * (share if name == LIMIT else 1)) for name, rounds in said.items()}
    print(
        f"{'':26}{'pictures/s':>11}{'quartiles':>15}{'/processor s':>14}{'ours is x':>11}{'loading':>9}{'loss':>9}"
    )
    for name, row in table.items():
        row["ours_is_times"] = table[OURS]["pictures_a_processor_second"] / row["pictures_a_processor_second"]
        low, high = row["quartiles"]
        print(
            f"{name:26}{row['pictures_a_second']:11.2f}{f'{low:.2f} - {high:.2f}':>15}"
            f"{row['pictures_a_processor_second']:14.2f}{row['ours_is_times']:11.2f}"
            f"{row['loading_share']:9.2%}{row['loss']:9.5f}"
        )
    return table


def _row(rounds: list[dict[str, float]], pictures: float) -> dict[str, Any]:
    """The figures of one contender, whose round is worth so many pictures."""
    rates = [pictures / each["seconds"] for each in rounds]
    quartiles = reporting.quartiles(rates)
    return {
        "pictures_a_second": statistics.median(rates),
        "quartiles": [quartiles[0], quartiles[2]],
        "pictures_a_processor_second": statistics.median(pictures / each["processor_seconds"] for each in rounds),
        "loading_share": sum(each["loading_seconds"] for each in rounds) / sum(each["seconds"] for each in rounds),
        "loss": rounds[-1]["loss"],
    }


if __name__ == "__main__":
    main()
