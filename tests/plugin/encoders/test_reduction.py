from __future__ import annotations

import numpy as np
import pytest

from cbmir.encoders import onnx_file
from cbmir.encoders.reduction import Reduction, principal
from cbmir.encoders.tensors import Tensors
from cbmir.errors import BadRequest
from cbmir.types import FloatArray

SPREADS = np.array([10, 5, 2, 0.1, 0.1, 0.1])


@pytest.fixture(scope="module")
def features() -> FloatArray:
    """500 of six numbers around (3, …, 3), turned at random, that differ mostly in three directions."""
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
    return (random.normal(size=(500, 6)) * SPREADS @ turn + 3).astype(np.float32)


def test_distances_are_kept_where_the_rest_is_noise(features: FloatArray) -> None:
    reduction = principal(features, 3, whiten=False)
    reduced = np.array([reduction.apply(each) for each in features])
    assert reduced.shape == (500, 3)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(reduced.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(reduced.std(axis=0), SPREADS[:3], rtol=0.1)
    distances, shorter = (np.linalg.norm(each[1:] - each[:-1], axis=1) for each in (features, reduced))
    assert np.abs(distances - shorter).max() < 0.1 * distances.mean()


def test_whitened_numbers_weigh_the_same(features: FloatArray) -> None:
    reduction = principal(features, 4, whiten=True)
    reduced = np.array([reduction.apply(each) for each in features])
    np.testing.assert_allclose(np.cov(reduced.T, bias=True), np.eye(4), atol=1e-3)


def test_the_order_of_the_pictures_does_not_matter(features: FloatArray) -> None:
    np.testing.assert_allclose(
        principal(features, 3, whiten=False).weight, principal(features[::-1], 3, whiten=False).weight, atol=1e-5
    )


@pytest.mark.parametrize(("count", "fewer"), [(500, 6), (500, 0), (3, 3), (0, 2)])
def test_what_cannot_be_learned_is_refused(features: FloatArray, count: int, fewer: int) -> None:
    with pytest.raises(BadRequest):
        principal(features[:count], fewer, whiten=False)


def test_pictures_that_hardly_differ_are_named(features: FloatArray) -> None:
    flat = np.repeat(features[:3], 20, axis=0)
    with pytest.raises(BadRequest, match="2 directions"):
        principal(flat, 4, whiten=True)


def test_what_a_weights_file_keeps_is_the_same_map(features: FloatArray) -> None:
    for made in (principal(features, 4, whiten=True), principal(features, 3, whiten=False)):
        kept = Tensors(onnx_file.packed(b"a model", "feature", made), "kept")
        read = Reduction(kept.take("reduce.weight", *made.weight.shape), kept.take("reduce.bias", len(made.bias)))
        np.testing.assert_array_equal(read.weight, made.weight)
        np.testing.assert_array_equal(read.bias, made.bias)
