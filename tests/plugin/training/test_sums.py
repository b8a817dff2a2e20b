from __future__ import annotations

import numpy as np
import pytest
import torch

from cbmir.training.sums import Sum, block, summed


def parts(count: int) -> list[Sum]:
    """Numbers of very different size, so that another order gives other bits."""
    random = np.random.default_rng(count)
    values = random.normal(size=(count, 64)) * 10.0 ** random.integers(-6, 6, (count, 64))
    return [Sum(float(row[0]), [torch.from_numpy(row.astype(np.float32))]) for row in values]


def bits(total: Sum | None) -> tuple[float, list[float]]:
    assert total is not None
    return total.loss, total.gradients[0].tolist()


def test_it_is_the_sum() -> None:
    whole = torch.stack([part.gradients[0] for part in parts(11)]).double().sum(0)
    torch.testing.assert_close(torch.tensor(bits(summed(parts(11)))[1]).double(), whole, rtol=1e-5, atol=1e-2)
    assert summed([]) is None


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5, 7, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11, 13, 16])
def test_blocks_summed_elsewhere_change_no_bit(count: int, processes: int) -> None:
    size = block(count, processes)
    assert size * processes >= count
    blocks = [summed(parts(count)[start : start + size]) for start in range(0, count, size)]
    assert len(blocks) <= processes
    assert bits(summed(each for each in blocks if each)) == bits(summed(parts(count)))


def test_another_order_would_change_bits() -> None:
    """Or else the test above would show nothing."""
    assert bits(summed(parts(13))) != bits(summed(reversed(parts(13))))
