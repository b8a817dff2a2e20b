"""What a training is asked for. No torch here: the web checks a form with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, Self

from cbmir.errors import BadRequest

DEFAULT, PHOTOGRAPHS = "default", "photographs"
"""Weights to start from: those that come with the product, and those that ImageNet's photographs made."""
BY_LABELS = "efficientnet-lite0"
"""The architecture that needs labels, and the only one that starts from weights; others draw theirs by chance."""
TRAINABLE = ("cnn-autoencoder", BY_LABELS, "dcnn")
"""The architectures that can be trained: the paper's, the one by labels, and one of the paper's rivals."""
USUAL: Mapping[str, Mapping[str, int]] = MappingProxyType({BY_LABELS: {"epochs": 6, "side": 128, "batch_size": 64}})
"""What each architecture is usually trained with, where that is not the default."""
RANGES = {"epochs": (1, 100_000), "seed": (0, 2**63 - 1), "side": (16, 1024), "batch_size": (1, 65_536)}


@dataclass(frozen=True)
class TrainingRequest:
    """What to train and how; on the same data the same request gives the same encoder.

    Attributes:
        architecture: what to train.
        epochs: passes over the training part.
        seed: of the split, the weights and the order of the pictures.
        side: of the input in pixels; the architecture may ask for a multiple of some number.
        batch_size: pictures a step.
        start: the weights that a training by labels starts from: `default`, `photographs` or an encoder's id.

    Raises:
        cbmir.errors.BadRequest: if a value is out of its range, or there is a start where none is made use of.
    """

    architecture: str = "cnn-autoencoder"
    epochs: int = 35
    seed: int = 0
    side: int = 64
    batch_size: int = 32
    start: str = DEFAULT

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise BadRequest(f"The training's {name} is {value!r}.", f"Give a number from {least} to {most}.")
        for name in ("architecture", "start"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise BadRequest(f"The training's {name} is {value!r}.", "Give its name.")
        if self.start != DEFAULT and self.architecture in TRAINABLE and self.architecture != BY_LABELS:
            raise BadRequest(
                f"A training of {self.architecture} begins anew, and cannot start from {self.start}.",
                f"Leave the start out, or train {BY_LABELS}, which goes on from an encoder of its kind.",
            )

    def as_json(self) -> dict[str, Any]:
        """The request as a job keeps it; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def usual(cls, architecture: str, **given: int | str | None) -> Self:
        """The request for an architecture, with what it is usually trained with where nothing (None) is given.

        Raises:
            cbmir.errors.BadRequest: if a value is out of its range.
        """
        wanted = {name: value for name, value in given.items() if value is not None}
        return cls.from_json({"architecture": architecture, **USUAL.get(architecture, {}), **wanted})

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave, or any part of it.

        Raises:
            cbmir.errors.BadRequest: if a key is unknown or a value out of its range.
        """
        unknown = set(document) - {each.name for each in fields(cls)}
        if unknown:
            raise BadRequest(f"A training knows no {sorted(map(str, unknown))[0]!r}.")
        return cls(**document)


def lone_labels(training: Mapping[str, Any]) -> list[str]:
    """The labels that only one image to train on had, by what is recorded of a training."""
    return [name for name, images in training.get("labels", {}).items() if images == 1]
