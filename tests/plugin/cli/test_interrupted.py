"""What is said when somebody breaks off what takes long: what is kept, and how to go on; it goes on so."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbmir.training import checkpoint

SMALL = ("train", "--side", 16, "--epochs", 3, "--batch-size", 8)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs after which a checkpoint was saved; after the first one, somebody presses Ctrl-C."""
    epochs: list[int] = []
    save = checkpoint.save

    def saving(folder: Path, network: Any, optimiser: Any, record: checkpoint.Record) -> None:
        save(folder, network, optimiser, record)
        epochs.append(record.epoch)
        if len(epochs) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(checkpoint, "save", saving)
    return epochs


def test_a_training_that_is_broken_off_says_what_is_kept_and_goes_on(
    cbmir: Callable[..., Any], tmp_path: Path, make_png: Callable[[int], bytes], saved: list[int]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(make_png(number))
    assert cbmir("ingest", folder).status == 0
    broken = cbmir(*SMALL)
    assert broken.status == 130
    said = broken.err.splitlines()[-1]
    assert said.startswith(
        "cbmir: interrupted. Epochs that were done are kept: the same command goes on after them"
    )
    assert saved == [1]
    assert cbmir(*SMALL).status == 0
    assert saved == [1, 2, 3]


def test_a_reproduction_that_is_broken_off_says_where_it_goes_on(
    cbmir: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cbmir.services.evaluation.reproduction.reproduce import Reproduction

    monkeypatch.setattr(Reproduction, "take_in", lambda *_: signal.raise_signal(signal.SIGINT))
    broken = cbmir("reproduce", "--out", tmp_path / "out", "--methods", "cnn-autoencoder", "--epochs", 1)
    assert broken.status == 130
    assert broken.err.splitlines()[-1] == (
        f"cbmir: interrupted. What was done is kept in {tmp_path / 'out'}: the same command goes on from there."
    )
