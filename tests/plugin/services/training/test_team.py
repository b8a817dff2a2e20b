"""Several processes train as one does, to the last bit: real processes, started by torch's own launcher."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cbmir.progress import Silence
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.training.team import Alone, team

WORDS = ("train", "--epochs", "2", "--side", "16", "--batch-size", "24")
REQUEST = TrainingRequest(epochs=2, side=16, batch_size=24)  # pieces of 4: six of a batch, and a last batch of two


def launched(data: Path, processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "CBMIR_DATA": str(data), "CBMIR_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, "-m", "cbmir", *words], env=environment, capture_output=True, text=True, check=False
    )


def test_two_processes_end_with_the_weights_of_one(
    database: Database, settings: Settings, stock: Callable[..., None]
) -> None:
    stock(database, patients=20)
    alone = train(database, settings, REQUEST, Silence())
    (settings.weights / f"{alone}.safetensors").unlink()
    with database.write() as session:
        session.delete(encoders.get(session, alone))
    done = launched(settings.data, 2, *WORDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is trained") == 1
    with database.read() as session:
        assert alone in [row.id for row in encoders.listing(session)]
    assert (settings.weights / f"{alone}.safetensors").is_file()


@pytest.mark.usefixtures("database")
def test_if_one_cannot_go_on_the_others_end(settings: Settings) -> None:
    done = launched(settings.data, 2, *WORDS)
    assert done.returncode != 0
    assert "There is no picture to train on" in done.stderr


def test_without_the_launcher_a_process_is_alone() -> None:
    with team() as members:
        assert isinstance(members, Alone)
        assert members.share(5) == slice(5)
