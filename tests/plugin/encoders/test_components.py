"""Few numbers of what a network's maps say of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from cbmir.encoders import components, shipped
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.components import SHARES, Views, steadying
from cbmir.encoders.variation import varied
from cbmir.errors import BadRequest
from cbmir.types import FloatArray


@pytest.fixture(scope="module")
def views() -> Views:
    """Of the encoder that comes with cbmir."""
    return Views.of(shipped.weights(), "shipped", Preprocessing.from_json(shipped.description()["preprocessing"]))


def made_up(views: Views, changes: FloatArray, *, count: int = 300) -> FloatArray:
    """float32 (count, 2, c): noise, and the same with so much of it in each direction changed."""
    random = np.random.default_rng(5)
    plain = random.normal(size=(count, sum(views.sizes.values())))
    return np.stack([plain, plain + random.normal(size=plain.shape) * changes], axis=1).astype(np.float32)


def numbers(views: Views, seen: FloatArray) -> FloatArray:
    """What the dense layer makes of them."""
    weights, bias = views.components(seen)
    return np.asarray(seen[:, 0] @ np.hstack([weights[name] for name in views.sizes]).T + bias)


def test_a_picture_is_seen_beside_itself_taken_otherwise(views: Views) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (128, 128)).astype(np.uint8)
    plain, otherwise = views.see(picture)
    network = views.network
    for seen, shown in ((plain, picture), (otherwise, varied(picture))):
        np.testing.assert_allclose(seen, network.encode(network.preprocessing.apply(shown)[None])[0], atol=1e-6)
    lengths = [np.linalg.norm(part) for part in np.split(plain, np.cumsum(list(views.sizes.values()))[:-1])]
    assert list(views.sizes) == list(SHARES) == list(views.shares())
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_what_changes_in_a_picture_of_the_same_counts_for_little(views: Views) -> None:
    """One number of the head varies most: in one case from picture to picture, in the other within each, too."""
    seen, random = made_up(views, np.full(sum(views.sizes.values()), 0.1)), np.random.default_rng(6)
    seen[:, 0, 7] *= 30
    steady, fickle = seen.copy(), seen.copy()
    for each, change in ((steady, 0.1), (fickle, 30)):
        each[:, 1, 7] = each[:, 0, 7] + change * random.normal(size=len(seen))
    told = [(np.corrcoef(each[:, 0, 7], numbers(views, each).T)[0, 1:] ** 2).max() for each in (steady, fickle)]
    assert told[0] > 0.9, "a component of its own"
    assert told[1] < 0.3


def test_the_components_are_not_correlated_and_around_zero(views: Views) -> None:
    made = numbers(views, made_up(views, np.full(sum(views.sizes.values()), 0.3)))
    assert made.shape == (300, components.DIMENSION)
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-3)
    together = np.corrcoef(made.T)
    np.testing.assert_allclose(together, np.eye(len(together)), atol=1e-2)


def test_all_directions_weigh_alike_where_all_change_alike() -> None:
    changes = np.random.default_rng(1).normal(size=(20_000, 5)) * 7
    steady = steadying(changes)
    np.testing.assert_allclose(steady, np.eye(5), atol=0.03)
    changes[:, 2] *= 100
    assert steadying(changes)[2, 2] < 0.5 < steadying(changes)[0, 0]


def test_nothing_changes_is_no_error() -> None:
    steady = steadying(np.zeros((9, 4)))
    assert np.isfinite(steady).all()
    np.testing.assert_allclose(steady, np.eye(4) * steady[0, 0])


def test_pictures_that_are_all_alike_give_no_direction(views: Views) -> None:
    alike = np.ones((9, 2, sum(views.sizes.values())), np.float32)
    with pytest.raises(BadRequest, match="differ in 0 directions"):
        views.components(alike)
