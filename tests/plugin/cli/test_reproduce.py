"""`cbmir reproduce` on drawn patients, small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cbmir.encoders import shipped
from cbmir.evaluation.reproduction import paper
from cbmir.phantoms import archive
from cbmir.progress import Silence
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.types import Part

SMALL = ("--limit", "60", "--epochs", "3", "--side", "32", "--rival-side", "32", "--seed", "1")
FIGURES = ("loss", "accuracy", "retrieved", "comparison", "queries")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three patients of each sub-class."""
    folder = tmp_path_factory.mktemp("drawn")
    archive.build(folder, Silence(), patients=3)
    return folder


def command(drawn: Path, out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "cbmir", "reproduce", "--images", str(drawn), "--out", str(out), *SMALL, *words]


def run(drawn: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(drawn, out, *words), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def reproduced(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole reproduction, its rivals with weights drawn by chance."""
    out = tmp_path_factory.mktemp("reproduced")
    done = run(drawn, out, "--weights", "none")
    assert done.returncode == 0, done.stderr
    assert "Table I" in done.stdout
    assert "ResNet50         93.74 / " in done.stdout
    assert "A quick look: about 60 of the images" in done.stderr
    assert "The autoencoder sees 32 x 32 pixels instead of our usual 64 x 64" in done.stderr
    assert "Rivals that were trained with 224 x 224 pixels see 32 x 32." in done.stderr
    return out


def results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    for row in found["training"]["history"]:
        del row["seconds"]
    return found


def test_every_method_is_measured_beside_the_papers_number(reproduced: Path) -> None:
    found = results(reproduced)
    assert [row["method"] for row in found["table_2"]] == list(paper.NAMES)
    assert all(0 < row["ours"] <= 1 for row in found["table_2"])
    assert [(row["k"], row["paper_accuracy"]) for row in found["table_1"]] == [
        (k, paper.TABLE_1[k]["accuracy"]) for k in paper.KS
    ]
    assert "untrained" in found["table_2"][1]["weights"]
    assert len(found["data"]["sha256"]) == 64
    assert {row["modality"] for row in found["data"]["modalities"]} == {"eeg", "mri", "oct", "xray"}


def test_the_history_has_the_accuracy_of_each_epoch(reproduced: Path) -> None:
    history = results(reproduced)["training"]["history"]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(0 <= row["validation_accuracy"] <= 1 for row in history)


def test_every_method_has_the_same_split_by_patient(reproduced: Path) -> None:
    database = Database(Settings(data=reproduced / "data").resolved_database_url)
    with database.read() as session:
        trained = [row for row in encoders.listing(session) if row.id != shipped.description()["id"]]
        splits = [encoders.parts(session, row.id) for row in trained]
    database.dispose()
    assert len(splits) == len(paper.NAMES)
    assert set(splits[0].values()) == set(Part)
    assert all(split == splits[0] for split in splits)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_made_it(reproduced: Path, name: str) -> None:
    found = results(reproduced)
    svg, png = (reproduced / "figures" / f"{name}.{form}" for form in ("svg", "png"))
    assert found["command"] in svg.read_text()
    assert f"data {found['data']['sha256']}" in svg.read_text()
    with Image.open(png) as image:
        assert image.text["Title"] == found["command"]  # type: ignore[attr-defined]
        assert image.text["Description"] == f"data {found['data']['sha256']}"  # type: ignore[attr-defined]


def test_the_page_is_complete_in_itself(reproduced: Path) -> None:
    page = (reproduced / "index.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == len(FIGURES)
    assert "http://" not in page
    assert "https://" not in page
    assert "98.34" in page
    for link in ("results.json", "table-1.csv", "table-2.csv", "reports/vgg16/report.html"):
        assert f'href="{link}"' in page
        assert (reproduced / link).is_file()


def test_another_reproduction_does_not_mix_with_it(reproduced: Path, drawn: Path) -> None:
    done = run(drawn, reproduced, "--weights", "none", "--seed", "2")
    assert done.returncode == 1
    assert "holds another reproduction: cbmir reproduce" in done.stderr


@pytest.mark.timeout(900)  # three runs
def test_one_that_was_killed_goes_on_to_the_same_numbers(
    cbmir: Callable[..., Any], drawn: Path, tmp_path: Path
) -> None:
    alone = ("--methods", "cnn-autoencoder", "--epochs", "8", "--side", "16")
    words = ("reproduce", "--images", drawn, *SMALL, *alone)
    whole = cbmir(*words, "--out", tmp_path / "whole")
    assert whole.status == 0, whole.err
    with subprocess.Popen(command(drawn, tmp_path / "cut", *alone), stdout=subprocess.DEVNULL) as process:
        wait_for_checkpoint(tmp_path / "cut" / "data" / "training", process)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    resumed = cbmir(*words, "--out", tmp_path / "cut")
    assert resumed.status == 0, resumed.err
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert results(tmp_path / "whole")["table_2"][2]["weights"] == "left out, as was asked for"


def test_rivals_without_weights_are_left_out_and_say_how_to_get_them(
    cbmir: Callable[..., Any], drawn: Path, tmp_path: Path
) -> None:
    words = ("--images", drawn, "--out", tmp_path / "out", *SMALL, "--epochs", "1", "--side", "16")
    done = cbmir("reproduce", *words, "--methods", "alexnet", "--json")
    assert done.status == 0, done.err
    assert "without --weights these are left out: AlexNet." in done.err
    row = next(row for row in done.json["table_2"] if row["method"] == "alexnet")
    assert row["ours"] is None
    assert row["weights"] == "none: no --weights were named; docs/reproduce.md says how to get them"
    assert "--weights" not in done.json["command"]


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes]) -> None:
    while not list(folder.rglob("checkpoint.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)


def test_weights_that_are_not_there_are_said_to_be_missing(cbmir: Callable[..., Any], drawn: Path) -> None:
    out = drawn / "out"
    words = ("reproduce", "--images", drawn, "--out", out, *SMALL, "--epochs", "1", "--weights", drawn / "no")
    done = cbmir(*words, "--methods", "vgg16", "--json")
    assert (done.status, "there is no folder" in done.err, out.exists()) == (2, True, False)
    (drawn / "no").mkdir()
    done = cbmir(*words, "--methods", "vgg16", "--json")
    assert done.status == 0, done.err
    row = done.json["table_2"][2]
    assert (row["method"], row["ours"]) == ("vgg16", None)
    assert "vgg16.safetensors is not there" in row["weights"]
    assert any("Not every rival" in notice for notice in done.json["notices"])
    assert "1 epoch instead of the paper's 35." in done.json["notices"]
    assert not any("Rivals" in notice for notice in done.json["notices"]), "none of them was measured"
    (drawn / "no" / "vgg16.safetensors").write_bytes(b"cut short")
    cut = cbmir(*words, "--methods", "vgg16")
    assert cut.status == 1
    assert f"The weights file {drawn / 'no' / 'vgg16.safetensors'} is not a whole safetensors file." in cut.err
    assert not list((out / "data" / "weights").glob("vgg16-*")), "no copy is kept"


def test_an_unknown_method_is_named(cbmir: Callable[..., Any], tmp_path: Path) -> None:
    done = cbmir("reproduce", "--out", tmp_path / "out", "--methods", "vgg19")
    assert (done.status, "vgg19" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()
