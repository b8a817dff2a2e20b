"""An archive's own labels train the network on, from the weights that come with the product or from one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sqlalchemy import select, update

from cbmir.cli.main import cli
from cbmir.encoders import shipped, weights
from cbmir.encoders.components import SHARES
from cbmir.encoders.efficientnet_network import SECOND_ENDING
from cbmir.errors import BadRequest, NotFound, TrainingFailed
from cbmir.progress import Silence
from cbmir.services.features.loading import load_encoder
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.store.tables import Label

Stock = Callable[..., None]

REQUEST = TrainingRequest.usual("efficientnet-lite0", epochs=1, side=32, batch_size=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of torch that wait for each other take ten times as long on a busy machine."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_core(settings: Settings) -> Settings:
    return Settings(data=settings.data, threads=1)


def test_it_goes_on_from_the_shipped_weights(database: Database, one_core: Settings, stock: Stock) -> None:
    stock(database)
    encoder_id = train(database, one_core, REQUEST, Silence())
    with database.read() as session:
        row = encoders.get(session, encoder_id)
    assert row.architecture == "efficientnet-lite0"
    assert 1 <= row.dimension < 8, "no more numbers than the few pictures differ in"
    assert row.training["start"] == "default"
    assert row.training["labels"] == {"bar": 4, "disc": 4}
    assert row.training["start_sha256"].startswith(shipped.description()["id"][-8:])
    encoder = load_encoder(row, one_core)
    inputs = np.random.default_rng(0).random((2, 1, 32, 32), np.float32)
    assert encoder.encode(inputs).shape == (2, row.dimension)


def test_labels_of_one_image_are_told_of(database: Database, one_core: Settings, stock: Stock) -> None:
    stock(database)
    with database.write() as session:
        for number in session.scalars(select(Label.instance_id).where(Label.instance_id % 2 == 0)):
            session.execute(update(Label).where(Label.instance_id == number).values(value=f"lone-{number}"))
    asked = ["train", "--encoder", "efficientnet-lite0", "--epochs", "1", "--side", "32", "--batch-size", "4"]
    told = CliRunner().invoke(cli, ["--data", str(one_core.data), *asked], env={"CBMIR_THREADS": "1"})
    assert told.exit_code == 0, told.output
    assert "cbmir: of one image alone nothing general is learnt: lone-" in told.stderr
    assert "bar" not in told.stderr


def test_it_goes_on_from_an_encoder_of_ones_own(database: Database, one_core: Settings, stock: Stock) -> None:
    stock(database)
    first = train(database, one_core, REQUEST, Silence())
    request = TrainingRequest.from_json({**REQUEST.as_json(), "start": first, "seed": 1})
    second = train(database, one_core, request, Silence())
    assert second != first
    with database.read() as session:
        assert encoders.parts(session, second) == encoders.parts(session, first), "whatever the seed is"
        row = encoders.get(session, second)
    assert row.training["groups_kept"] == row.training["groups"] == {"train": 4, "validation": 1, "test": 1}


def test_what_it_knew_before_stays_beside_what_it_learns(
    database: Database, one_core: Settings, stock: Stock
) -> None:
    """From photographs, then from that: the second ending is the photographs' through and through."""
    stock(database)
    request = {**REQUEST.as_json(), "start": "photographs"}
    first = train(database, one_core, TrainingRequest.from_json(request), Silence())
    second = train(database, one_core, TrainingRequest.from_json({**request, "start": first}), Silence())
    made = [weights.from_bytes((one_core.weights / f"{id}.safetensors").read_bytes(), id) for id in (first, second)]
    beside = [{name: each for name, each in tensors.items() if name.startswith("beside.")} for tensors in made]
    assert {name.split(".")[2] for name in beside[0]} == {str(number) for number in SECOND_ENDING}
    assert beside[0].keys() == beside[1].keys()
    assert all(torch.equal(each, beside[1][name]) for name, each in beside[0].items())
    looked_at = {name for name in made[0] if name.startswith("reduce.")}
    assert looked_at == {"reduce.bias", *(f"reduce.{name}.weight" for name in SHARES)}
    learnt = f"blocks.{SECOND_ENDING.start}.widen.weight"
    assert not torch.equal(made[0][learnt], made[0][f"beside.{learnt}"])


def test_unknown_weights_to_start_from(database: Database, one_core: Settings, stock: Stock) -> None:
    stock(database)
    request = TrainingRequest.from_json({**REQUEST.as_json(), "start": "../elsewhere"})
    with pytest.raises(NotFound, match=r"no encoder \.\./elsewhere"):
        train(database, one_core, request, Silence())


def test_one_label_is_nothing_to_tell_apart(database: Database, one_core: Settings, stock: Stock) -> None:
    stock(database)
    with database.write() as session:
        session.execute(update(Label).values(value="disc"))
    with pytest.raises(TrainingFailed, match="only the label 'disc'"):
        train(database, one_core, REQUEST, Silence())
    assert not list(one_core.weights.glob("*"))


def test_several_processes_would_all_do_the_same(database: Database, one_core: Settings, stock: Stock) -> None:
    class Pair:
        """A team of two, seen from the first."""

        is_first = True

        def wait(self) -> None:
            """Nobody is waited for."""

    stock(database)
    with pytest.raises(BadRequest, match="by one process"):
        train(database, one_core, REQUEST, Silence(), team=Pair())  # type: ignore[arg-type]
