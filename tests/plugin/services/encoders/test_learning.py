"""What a reduction is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cbmir.progress import Silence
from cbmir.services.encoders.learning import own_features
from cbmir.settings import Settings
from cbmir.store import frames
from cbmir.store.session import Database
from cbmir.types import ByteArray, FloatArray


def mean_and_deviation(picture: ByteArray) -> FloatArray:
    return np.array([picture.mean(), picture.std()], np.float32)


def test_the_order_of_ingestion_counts_for_nothing(
    database: Database, settings: Settings, stock: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=4)
    before, odd = own_features(database, settings, mean_and_deviation, Silence())
    assert (len(np.unique(before, axis=0)), odd) == (8, [])
    some = frames.some_pictures

    def reversed_pictures(*given: Any) -> list[tuple[int, str]]:
        return some(*given)[::-1]

    monkeypatch.setattr(frames, "some_pictures", reversed_pictures)
    assert np.array_equal(own_features(database, settings, mean_and_deviation, Silence())[0], before)
