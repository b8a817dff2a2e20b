from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.training.gradients import AT_ONCE, Losses, at_once, workers
from cbmir.training.objectives import reconstruction

PICTURES = np.random.default_rng(0).integers(0, 256, (11, 1, 16, 16), dtype=np.uint8)
ROWS = np.array([9, 0, 4, 4, 2, 10, 7, 1, 3])  # pieces of 4, 4 and 1


def network() -> CnnAutoencoder:
    made = CnnAutoencoder(16)
    made.initialise(3)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def gradients(it: CnnAutoencoder) -> list[torch.Tensor]:
    return [each.grad.clone() for each in it.parameters() if each.grad is not None]


def descend(threads: int, times: int = 1) -> tuple[float, list[torch.Tensor]]:
    it = network()
    with workers(threads) as pool:
        losses = Losses(it, PICTURES, reconstruction, pool)
        loss = [losses.descend(ROWS) for _ in range(times)][-1]
    return loss, gradients(it)


def test_pieces_make_the_loss_and_the_gradient_of_the_whole() -> None:
    whole = network()
    inputs = torch.from_numpy(PICTURES[ROWS].astype(np.float32) / 255)
    loss = functional.mse_loss(whole(inputs), inputs)
    loss.backward()  # type: ignore[no-untyped-call]
    pieced, summed = descend(threads=2)
    assert pieced == pytest.approx(loss.item(), rel=1e-5)
    for mine, theirs in zip(summed, gradients(whole), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-7)


def test_a_gradient_does_not_add_to_the_one_before() -> None:
    assert all(map(torch.equal, descend(threads=1)[1], descend(threads=1, times=2)[1]))


def test_the_number_of_threads_changes_no_bit() -> None:
    alone, three = descend(threads=1), descend(threads=3)
    assert alone[0] == three[0]
    assert all(map(torch.equal, alone[1], three[1]))


def test_a_card_takes_a_usual_batch_whole_and_no_more_than_its_memory_holds() -> None:
    card, processor = torch.device("cuda"), torch.device("cpu")
    assert at_once(card, 128) >= 32
    assert [at_once(card, side) for side in (256, 512, 1024)] == [16, 4, 1], "as many pixels, whatever the side"
    assert {at_once(processor, side) for side in (16, 64, 1024)} == {AT_ONCE}


def test_the_mean_is_over_pictures_not_pieces() -> None:
    with workers(2) as pool:
        losses = Losses(network(), PICTURES, reconstruction, pool)
        each = [losses.mean(np.array([row])) for row in ROWS]
        assert losses.mean(ROWS) == pytest.approx(np.mean(each), rel=1e-5)


def test_torch_has_its_threads_back_afterwards() -> None:
    before = torch.get_num_threads()
    with workers(2) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before
