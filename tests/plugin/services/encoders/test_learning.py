"""What a reduction is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from cbmir.encoders.base import Encoder
from cbmir.progress import Silence
from cbmir.services.encoders.learning import own_features
from cbmir.settings import Settings
from cbmir.store import frames
from cbmir.store.session import Database
from cbmir.types import FloatArray


def mean_and_deviation(pictures: FloatArray) -> FloatArray:
    return np.array([[pictures.mean(), pictures.std()]], np.float32)


SIMPLE = cast(Encoder, SimpleNamespace(encode=mean_and_deviation, preprocessing=SimpleNamespace(apply=np.float32)))


def test_the_order_of_ingestion_counts_for_nothing(
    database: Database, settings: Settings, stock: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(database, patients=4)
    before, odd = own_features(database, settings, SIMPLE, Silence())
    assert (len(np.unique(before, axis=0)), odd) == (8, [])
    some = frames.some_pictures

    def reversed_pictures(*given: Any) -> list[tuple[int, str]]:
        return some(*given)[::-1]

    monkeypatch.setattr(frames, "some_pictures", reversed_pictures)
    assert np.array_equal(own_features(database, settings, SIMPLE, Silence())[0], before)
