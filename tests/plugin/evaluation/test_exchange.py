"""The paired test by exchanging patients, against all exchanges that there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cbmir.evaluation import exchange
from cbmir.evaluation.exchange import EXCHANGES, two_sided


def p(differences: list[float], groups: list[int], weights: list[float] | None = None) -> float:
    shares = np.full(len(groups), 1 / len(groups)) if weights is None else np.array(weights)
    return float(two_sided(np.array([differences]).T, shares, np.array(groups))[0])


def test_it_is_the_share_of_all_exchanges_that_differ_as_much() -> None:
    differences, groups = [0.3, 0.1, -0.2, 0.4, 0.5, 0.1, 0.2, 0.3], [7, 7, 8, 9, 3, 4, 5, 6]
    sums = np.array([sum(np.array(differences)[np.array(groups) == group]) for group in sorted(set(groups))])
    exchanged = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=len(sums))]
    share = np.mean(np.array(exchanged) >= sum(differences) - 1e-9)
    assert p(differences, groups) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_of_few_patients_it_is_never_small_however_many_images_they_have(groups: int) -> None:
    found = p([0.5] * 100 * groups, [group for group in range(groups) for _ in range(100)])
    assert found == pytest.approx(2 / 2**groups, abs=0.03), "only all exchanged and none differ as much"


def test_of_many_patients_it_is_as_small_as_the_number_of_exchanges_lets_it_be() -> None:
    assert p([0.01] * 50, list(range(50))) == pytest.approx(1 / (EXCHANGES + 1))


def test_where_nothing_differs_it_is_one() -> None:
    assert p([0.0, 0.0, 0.0], [0, 1, 2]) == 1
    assert p([0.1, -0.1] * 10, list(range(20))) == 1, "also where rounding alone keeps the sum from 0"


def test_it_is_seldom_small_where_there_is_no_difference() -> None:
    random = np.random.default_rng(3)
    for groups in (6, 60):
        chances = [p(random.normal(0, 1, groups).tolist(), list(range(groups))) for _ in range(200)]
        assert sum(chance < 0.05 for chance in chances) <= 20
        assert 0.4 < float(np.mean(chances)) < 0.6


def test_queries_count_by_their_share_of_the_mean() -> None:
    assert p([1, 1, 1, 1, -1], [0, 1, 2, 3, 4], [0, 0, 0, 0, 1]) == 1, "one patient's share is all"


def test_the_numbers_of_the_groups_change_nothing() -> None:
    differences = np.random.default_rng(4).normal(0.2, 1, 30)
    assert p(differences.tolist(), list(range(30))) == p(differences.tolist(), list(range(90, 0, -3)))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(4).normal(0.1, 1, 30).tolist()
    whole = p(differences, list(range(30)))
    monkeypatch.setattr(exchange, "CELLS", 1000)
    assert p(differences, list(range(30))) == whole
