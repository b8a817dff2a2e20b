"""A training by labels: its rate beside that of Keras, and the share of the time that the network waits.

    pip install -e .[bench]
    python benchmarks/train_labels.py [--side 128] [--batch 64] [--steps 20] [--threads 1] [--json FILE.json]

The loop is that of `cbmir train --encoder efficientnet-lite0`, on drawn pictures of ten labels that lie in a mapped
file, from weights drawn by chance. Pictures are read, varied and mixed on the loop's own thread, so the network
waits for all of it: from the end of a step to the first layer of the next. The rest of a step is the network's:
forward, backward, and the change of its weights. The first steps warm up and do not count; nor do the pictures
that validate.

Keras trains the same network with the same mathematics from the same weights (keras_peer.py), on such pictures as
they are, neither varied nor mixed: its steps are compared with the network's part of ours. All take turns, a step
each, in processes of their own. TensorFlow is tried with and without its oneDNN. It is not compiled by XLA, which
was tried: on one core the first step then took 58 seconds of CPU, and the second one did not end within 40 more.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import children
import numpy as np
import reporting
import torch
from train import PICTURES, drawn

from cbmir.encoders import machine
from cbmir.encoders.base import scaled
from cbmir.encoders.efficientnet_lite import HEAD
from cbmir.encoders.efficientnet_network import EfficientNetLite
from cbmir.training.by_labels import LabelledMaterial, LabelRecipe, LabelTraining
from cbmir.training.proxies import Proxies

LABELS = 10
WARM_UP = 3
"""Steps."""
OURS = "cbmir"
CONTENDERS: dict[str, dict[str, str]] = {
    OURS: {},
    "Keras": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "Keras, oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1"},
}
"""Name -> environment."""


class Turns:
    """Lets a training step when it is asked to, a line of standard input for each step, and answers with the times.

    It listens to the beginning of a step's first layer and, as the training's `Progress`, to the step's end.
    """

    def __init__(self) -> None:
        self._asked()
        self._began = (0.0, 0.0)
        self._steps = False

    def begin(self, _network: Any, _inputs: Any) -> None:
        """A step's pictures have come to the network."""
        self._began, self._steps = _now(), True

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """See `cbmir.progress.Progress.update`; an epoch's end is told again after its validation."""
        if self._steps:
            _answer(self._began, waited=self._began[0] - self._ended[0])
            self._steps = False
            self._asked()
        self._ended = _now()

    def _asked(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit
        self._ended = _now()


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    if arguments.child:
        _serve(arguments)
        return
    said = take_turns(arguments)
    report = {
        **reporting.conditions("torch", "tensorflow-cpu", "numpy"),
        **vars(arguments),
        "contenders": tabulate(said, arguments.batch),
        "waiting_share": sum(each["waited"] for each in said[OURS])
        / sum(each["waited"] + each["seconds"] for each in said[OURS]),
    }
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))


def take_turns(arguments: argparse.Namespace) -> dict[str, list[children.Said]]:
    """What each contender says of each of its steps that count; without TensorFlow, of ours alone."""
    names = [name for name in CONTENDERS if name == OURS or find_spec("tensorflow")]
    contenders = {name: {**children.one_device(arguments.threads), **CONTENDERS[name]} for name in names}
    numbers = [f"--{each}={getattr(arguments, each)}" for each in ("side", "batch", "steps", "threads")]
    said = children.take_turns(contenders, [__file__, *numbers], range(arguments.steps + WARM_UP))
    return {name: steps[WARM_UP - 1 :] for name, steps in said.items()}


def tabulate(said: Mapping[str, list[children.Said]], batch: int) -> dict[str, dict[str, Any]]:
    """Pictures a second of the network's part, its milliseconds of CPU a picture, and how many times as fast ours
    is, by the clock of the same turn and by CPU."""
    ours, table = said[OURS], {}
    for name, steps in said.items():
        low, middle, high = reporting.quartiles([batch / each["seconds"] for each in steps])
        pairs = list(zip(steps, ours, strict=True))
        table[name] = {
            "pictures_a_second": middle,
            "quartiles": [low, high],
            "cpu_ms": 1000 * statistics.median(each["cpu"] for each in steps) / batch,
            "ours_is_times": statistics.median(one["seconds"] / other["seconds"] for one, other in pairs),
            "ours_is_times_cpu": statistics.median(one["cpu"] / other["cpu"] for one, other in pairs),
        }
    return table


def show(report: Mapping[str, Any]) -> None:
    """Print the table, and how long the network waits."""
    print(reporting.heading(dict(report)))
    print(
        "a training by labels, side {side}, batch {batch}, threads {threads}: the network's part".format(**report)
    )
    print(f"{'':16}{'pictures/s':>11}{'quartiles':>18}{'CPU ms':>9}{'ours is x':>11}{'by CPU':>9}")
    for name, row in report["contenders"].items():
        spread = "{:.2f} - {:.2f}".format(*row["quartiles"])
        print(
            f"{name:16}{row['pictures_a_second']:11.2f}{spread:>18}{row['cpu_ms']:9.2f}"
            f"{row['ours_is_times']:11.2f}{row['ours_is_times_cpu']:9.2f}"
        )
    print(f"ours waits for its pictures {report['waiting_share']:.2%} of the time")


def _serve(arguments: argparse.Namespace) -> None:
    """A contender: a step for each line, and a line of what it took."""
    machine.keep_memory()
    torch.set_num_threads(arguments.threads)
    if arguments.child == OURS:
        _train(arguments)
    else:
        _train_by_keras(arguments)


def _train(arguments: argparse.Namespace) -> None:
    """The product's own training."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npy"
        np.save(path, drawn(arguments.side))
        network, turns = EfficientNetLite(), Turns()
        recipe = LabelRecipe(batch_size=arguments.batch, epochs=_epochs(arguments))
        training = LabelTraining(network, _material(path), recipe, Path(folder), "cpu")
        network.register_forward_pre_hook(turns.begin)  # after the training has made its average, a copy
        training.run(turns)


def _train_by_keras(arguments: argparse.Namespace) -> None:
    """The same network and mathematics."""
    import keras_peer

    network, proxies, pictures = EfficientNetLite(), Proxies(LABELS, HEAD), drawn(arguments.side)
    model = keras_peer.trained(network, proxies, arguments.side, arguments.threads)
    rows = np.arange(arguments.batch) % PICTURES
    inputs, targets = scaled(pictures[rows]), np.eye(LABELS, dtype=np.float32)[rows % LABELS]
    keras_peer.check(model, network, proxies, inputs, targets)
    inputs = np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
    for _line in sys.stdin:
        began = _now()
        model.train_on_batch(inputs, targets)
        _answer(began)


def _now() -> tuple[float, float]:
    """Seconds by the clock, and of this process's CPU."""
    return time.perf_counter(), time.process_time()


def _answer(began: tuple[float, float], waited: float = 0.0) -> None:
    """Tell what a step took, and how long its network waited before."""
    seconds, cpu = (now - then for now, then in zip(_now(), began, strict=True))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "waited": waited}), flush=True)


def _material(path: Path) -> LabelledMaterial:
    """The drawn pictures; a few validate."""
    pictures = np.load(path, mmap_mode="r")
    targets = np.eye(LABELS, dtype=np.float32)[np.arange(PICTURES) % LABELS]
    rows = np.arange(PICTURES, dtype=np.int64)
    return LabelledMaterial(pictures, targets, rows[LABELS:], rows[:LABELS])


def _epochs(arguments: argparse.Namespace) -> int:
    """So many that there are enough steps."""
    steps, batch = int(arguments.steps), int(arguments.batch)
    return math.ceil((steps + WARM_UP) / max(1, (PICTURES - LABELS) // batch))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=reporting.positive, default=128)
    parser.add_argument("--batch", type=reporting.positive, default=64)
    parser.add_argument("--steps", type=reporting.positive, default=20, help="that count")
    parser.add_argument("--threads", type=reporting.positive, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
