"""What a reproduction says of itself beside its tables: what made it, and what keeps it from the paper's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cbmir import __version__
from cbmir.evaluation.reproduction import paper
from cbmir.services.evaluation.reproduction.rivals import FROZEN
from cbmir.services.evaluation.reproduction.wanted import RIVAL_SIDE, SIDE, Wanted
from cbmir.store.tables import Encoder
from cbmir.store.training import TrainingFrame
from cbmir.words import counted


@dataclass(frozen=True)
class Method:
    """One of the compared methods.

    Attributes:
        name: as in `cbmir.evaluation.reproduction.paper.NAMES`.
        encoder_id: None where it cannot be measured.
        weights: where they are from, or why there are none, in words.
    """

    name: str
    encoder_id: str | None
    weights: str


def made(own: Encoder, wanted: Wanted, frames: Sequence[TrainingFrame]) -> dict[str, Any]:
    """By which command, from which data and with which versions."""
    images = Counter(frame.modality for frame in frames)
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for frame in frames:
        patients[frame.modality].add(frame.group)
    counts = [
        {"modality": name, "images": number, "patients": len(patients[name])}
        for name, number in sorted(images.items())
    ]
    return {
        "command": wanted.command(),
        "data": {"sha256": own.training["data_sha256"], "modalities": counts},
        "versions": {"cbmir": __version__, "torch": torch.__version__},
    }


def notices(
    evaluation: Mapping[str, Any], wanted: Wanted, methods: Sequence[Method], frames: Sequence[TrainingFrame]
) -> list[str]:
    """What keeps this from being the paper's experiment, a sentence each.

    Args:
        evaluation: of the paper's own method.
        wanted: what was asked for.
        methods: all of them.
        frames: all images.
    """
    gallery = counted(evaluation["gallery"], "image")
    own, others = (f"{side} x {side}" for side in (wanted.side, wanted.rival_side))
    short = [k for k, number in evaluation["retrieved"].items() if number < int(k)]
    said = {
        "The patients are drawn: the figures show that the machinery works, and nothing else.": not wanted.images,
        f"A quick look: about {wanted.limit} of the images, whole patients chosen by chance.": bool(wanted.limit),
        f"{counted(wanted.epochs, 'epoch')} instead of the paper's {paper.EPOCHS}.": wanted.epochs < paper.EPOCHS,
        f"The autoencoder sees {own} pixels instead of our usual {SIDE} x {SIDE}; the paper is silent on it.": (
            wanted.side != SIDE
        ),
        f"Rivals that were trained with {RIVAL_SIDE} x {RIVAL_SIDE} pixels see {others}.": (
            wanted.rival_side != RIVAL_SIDE and any(each.encoder_id and each.name in FROZEN for each in methods)
        ),
        "All images are of one modality: every hit is relevant, whatever the network.": (
            len({frame.modality for frame in frames}) == 1
        ),
        f"The gallery holds {gallery}: at k = {', '.join(short)} all of it was retrieved.": bool(short),
        "Not every rival was measured; the last column of table II says why.": (
            any(each.encoder_id is None for each in methods)
        ),
    }
    return [sentence for sentence, holds in said.items() if holds]


def asked(evaluation: Mapping[str, Any]) -> dict[str, int]:
    """Counts of images and patients that ask, and that are searched."""
    groups = evaluation["groups"]
    return {
        "queries": evaluation["queries"],
        "gallery": evaluation["gallery"],
        "query_patients": groups["queries"],
        "gallery_patients": groups["gallery"],
    }


def training(own: Encoder) -> dict[str, Any]:
    """How the paper's own network was trained, and what it came to."""
    kept = ("history", "best_epoch", "validation_loss", "test_loss")
    return {"encoder": own.id, **own.training, **{name: own.metrics[name] for name in kept}}
