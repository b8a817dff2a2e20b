"""What a reproduction is asked for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from cbmir.evaluation.reproduction import paper
from cbmir.training.request import TrainingRequest

SIDE = 64
"""Pixels: what we take for the side of the autoencoder's input, which the paper does not give."""
RIVAL_SIDE = 224
"""Pixels: the side that the rivals were trained with."""


@dataclass(frozen=True)
class Wanted:
    """How the paper is to be reproduced.

    Attributes:
        images: folder of images with a `manifest.csv` of path, modality, subclass and group; None draws patients.
        limit: about so many images, whole patients, each sub-class in its proportion; None means all.
        epochs, side, seed: of the training of the autoencoder and of the DCNN.
        methods: which of `cbmir.evaluation.reproduction.paper.NAMES` are compared; the paper's own always is.
        weights: folder with the rivals' `NAME.safetensors`; those whose file is missing are left out.
        untrained: the rivals' weights are drawn by chance instead.
        rival_side: side of the rivals' input in pixels, but for the DCNN, whose is `side`.
    """

    images: Path | None = None
    limit: int | None = None
    epochs: int = paper.EPOCHS
    side: int = SIDE
    seed: int = 0
    methods: tuple[str, ...] = tuple(paper.NAMES)
    weights: Path | None = None
    untrained: bool = False
    rival_side: int = RIVAL_SIDE

    def training(self, architecture: str) -> TrainingRequest:
        """The request for the product's own training.

        Raises:
            cbmir.errors.BadRequest: if a number is out of its range.
        """
        return TrainingRequest(architecture, epochs=self.epochs, seed=self.seed, side=self.side)

    def command(self) -> str:
        """The command line that does this, whatever the defaults will be."""
        words = ["cbmir", "reproduce"]
        words += ["--images", str(self.images)] if self.images else []
        words += ["--limit", str(self.limit)] if self.limit else []
        words += ["--epochs", str(self.epochs), "--side", str(self.side), "--seed", str(self.seed)]
        words += ["--methods", ",".join(self.methods)] if self.methods != Wanted.methods else []
        words += ["--weights", str(self.weights)] if self.weights else []
        words += ["--weights", "none"] if self.untrained else []
        words += ["--rival-side", str(self.rival_side)] if self.rival_side != RIVAL_SIDE else []
        return shlex.join(words)
