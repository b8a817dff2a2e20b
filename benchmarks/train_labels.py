"""A training by labels: its rate, and the share of the time that the network waits for its pictures.

    python benchmarks/train_labels.py [--side 128] [--batch 64] [--steps 20] [--threads 1] [--json FILE.json]

The loop is that of `cbmir train --encoder efficientnet-lite0`, on drawn pictures of ten labels that lie in a mapped
file, from weights drawn by chance. Pictures are read, varied and mixed on the loop's own thread, so the network
waits for all of it: from the end of a step to the first layer of the next. The rest of a step is the network's:
forward, backward, and the change of its weights. The first steps warm up and do not count; nor do the pictures
that validate.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import reporting
import torch
from train import PICTURES, drawn

from cbmir.encoders import machine
from cbmir.encoders.efficientnet_network import EfficientNetLite
from cbmir.training.by_labels import LabelledMaterial, LabelRecipe, LabelTraining

LABELS = 10
WARM_UP = 3
"""Steps."""


@dataclass
class Clock:
    """Listens to a training: to the beginning of a step's first layer and, as its `Progress`, to the step's end.

    Attributes:
        waited, worked: seconds of each step, without the first one's waiting, which has no beginning.
    """

    waited: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    ended: float = 0.0
    began: float = 0.0

    def begin(self, _network: Any, _inputs: Any) -> None:
        """A step's pictures have come to the network."""
        self.began = time.perf_counter()
        self.waited.append(self.began - (self.ended or self.began))

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """See `cbmir.progress.Progress.update`; an epoch's end is told again after its validation."""
        self.ended = time.perf_counter()
        if len(self.worked) < len(self.waited):
            self.worked.append(self.ended - self.began)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    clock = listened(arguments)
    waited, worked = (np.array(each[WARM_UP:]) for each in (clock.waited, clock.worked))
    low, middle, high = reporting.quartiles((arguments.batch / (waited + worked)).tolist())
    share = float(waited.sum() / (waited + worked).sum())
    report = {
        **reporting.conditions("torch", "numpy"),
        **vars(arguments),
        "pictures_a_second": middle,
        "quartiles": [low, high],
        "waiting_share": share,
    }
    print(reporting.heading(report))
    print(f"a training by labels, side {arguments.side}, batch {arguments.batch}, threads {arguments.threads}")
    print(f"{middle:.2f} pictures/s (quartiles {low:.2f} - {high:.2f}); the network waits {share:.2%} of the time")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))


def listened(arguments: argparse.Namespace) -> Clock:
    """A clock that has heard as many steps, and those that warm up."""
    torch.set_num_threads(arguments.threads)
    machine.keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npy"
        np.save(path, drawn(arguments.side))
        network, clock = EfficientNetLite(), Clock()
        recipe = LabelRecipe(batch_size=arguments.batch, epochs=_epochs(arguments))
        training = LabelTraining(network, _material(path), recipe, Path(folder), "cpu")
        network.register_forward_pre_hook(clock.begin)  # after the training has made its average, a copy
        training.run(clock)
    return clock


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
    parser.add_argument("--steps", type=reporting.positive, default=20, help="that count, at least")
    parser.add_argument("--threads", type=reporting.positive, default=1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
