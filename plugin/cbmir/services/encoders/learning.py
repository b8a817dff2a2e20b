"""What an encoder gives for the installation's own pictures, to learn from."""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from cbmir.encoders.base import Encoder
from cbmir.errors import BrokenFile, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.settings import Settings
from cbmir.store import frames
from cbmir.store.session import Database
from cbmir.types import FloatArray

LEARNED_FROM = 10_000
"""Pictures that a reduction is learned from, at most."""


def own_features(
    database: Database, settings: Settings, encoder: Encoder, progress: Progress
) -> tuple[FloatArray, list[int]]:
    """The features of the installation's pictures, or of so many of them at even distances.

    Args:
        database: of the installation.
        settings: of the installation.
        encoder: what makes them.
        progress: told before each picture.

    Returns:
        float32 (n, dimension), finite, in the order of the pictures' keys, whatever that of ingestion was; and the
        ids of the frames of which the encoder gives a number that is not, from which nothing can be learned. A
        picture that cannot be read is in neither: extraction will tell of it.

    Raises:
        cbmir.errors.JobCancelled: if asked to stop.
    """
    with database.read() as session:
        found = frames.some_pictures(session, LEARNED_FROM)
    chosen = sorted(found, key=itemgetter(1))  # the order of ingestion is chance, and sums depend on theirs
    shelf, features, odd = Shelf(settings.pictures), list[FloatArray](), list[int]()
    for done, (frame_id, key) in enumerate(chosen):
        progress.update(done, len(chosen), "learning to reduce")
        try:
            feature = encoder.encode(encoder.preprocessing.apply(shelf.get(key))[np.newaxis])
        except (NotFound, BrokenFile, OSError):
            continue
        if np.isfinite(feature).all():
            features.append(feature)
        else:
            odd.append(frame_id)
    return np.concatenate(features) if features else np.empty((0, encoder.dimension), np.float32), odd
