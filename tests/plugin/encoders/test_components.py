"""Few numbers of what a network's maps say of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from cbmir.encoders import shipped
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.components import SHARES, WHITENING, Views
from cbmir.errors import BadRequest
from cbmir.types import FloatArray


@pytest.fixture(scope="module")
def views() -> Views:
    """Of the encoder that comes with cbmir."""
    return Views.of(shipped.weights(), "shipped", Preprocessing.from_json(shipped.description()["preprocessing"]))


@pytest.fixture(scope="module")
def seen(views: Views) -> FloatArray:
    """float32 (300, c): made up; each map has five numbers that vary, of another size than those of other maps."""
    random, parts = np.random.default_rng(5), []
    for place, size in enumerate(views.sizes.values()):
        parts.append(np.full((300, size), 3.0))
        parts[-1][:, :5] += random.normal(0, 10.0**-place, (300, 5))
    return np.hstack(parts).astype(np.float32)


def test_a_picture_is_seen_through_all_maps_alike(views: Views) -> None:
    plain = views.network.encode(np.random.default_rng(0).random((1, 1, 128, 128), np.float32))[0]
    lengths = [np.linalg.norm(part) for part in np.split(plain, np.cumsum(list(views.sizes.values()))[:-1])]
    assert list(views.sizes) == list(SHARES) == list(views.how()["maps"])
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_each_map_weighs_what_it_is_given(views: Views, seen: FloatArray) -> None:
    """Whitening undone, the variance that a map brings to the components is its share."""
    weights, bias = views.components(seen)
    ends = np.cumsum(list(views.sizes.values()))[:-1]
    parts = dict(zip(views.sizes, np.split(seen, ends, axis=1), strict=True))
    made = np.sum([parts[name] @ weight.T for name, weight in weights.items()], axis=0) + bias
    assert made.shape == (300, 5 * len(SHARES)), "so many directions, and no more"
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.corrcoef(made.T), np.eye(made.shape[1]), atol=1e-2)
    unwhitened = made.std(0) ** (WHITENING / (1 - WHITENING))
    for name, weight in weights.items():
        brought = (parts[name] @ (weight * unwhitened[:, None]).T).var(axis=0).sum()
        assert brought == pytest.approx(SHARES[name], rel=0.02), name


def test_pictures_that_are_all_alike_give_no_direction(views: Views) -> None:
    with pytest.raises(BadRequest, match="differ in 0 directions"):
        views.components(np.ones((9, sum(views.sizes.values())), np.float32))
