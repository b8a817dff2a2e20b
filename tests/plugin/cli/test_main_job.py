"""The main job on the command line: what a new user types, right and wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbmir.encoders import shipped

Make = Callable[..., bytes]


@pytest.fixture
def labelled(tmp_path: Path, make_png: Make) -> Path:
    """A folder of 24 images of 12 patients in two sub-classes, with a manifest."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = ["path,modality,subclass,group"]
    for number in range(24):
        (folder / f"{number}.png").write_bytes(make_png(number))
        lines.append(f"{number}.png,mri,{'ab'[number % 2]},patient{number // 2 % 6 + number % 2 * 6}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


def test_the_main_job(cbmir: Callable[..., Any], labelled: Path, tmp_path: Path, make_png: Make) -> None:
    counts = cbmir("ingest", labelled, "--labels", labelled / "manifest.csv", "--json").json
    assert counts == {"ingested": 24, "duplicates": 0, "quarantined": 0, "failed": 0}

    trained = cbmir("train", "--epochs", 1, "--side", 16, "--seed", 3, "--json")
    encoder = trained.json["encoder"]
    assert encoder.startswith("cnn-autoencoder-")
    assert trained.err.startswith("epoch 1: loss of training 0."), "in a pipe no bar, but a line an epoch"
    assert "\r" not in trained.err
    extracted = cbmir("extract", "--json").json
    assert (extracted["encoder"], extracted["extracted"], extracted["failed"]) == (encoder, 24, 0)
    listed = [row["encoder"] for row in cbmir("encoders", "--json").json]
    assert listed == [encoder, shipped.description()["id"]], "the one that answers, and the one that was there"

    answer = cbmir("query", labelled / "7.png", "--json").json
    assert answer["encoder"] == encoder
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    assert "7.png" not in {hit["file_name"] for hit in answer["hits"]}, "the query's own image is no hit"
    first = answer["hits"][0]
    assert set(first) >= {"rank", "distance", "file_name", "sop_instance_uid", "frame_number", "labels"}
    assert first["labels"]["modality"] == "mri"
    few = cbmir(
        "query", labelled / "7.png", "-k", 3, "--where", "subclass=a", "--exclude-same-patient", "--json"
    ).json
    assert [hit["labels"]["subclass"] for hit in few["hits"]] == ["a", "a", "a"]

    kept = sorted((tmp_path / "data" / "pictures").rglob("*.png"))
    (tmp_path / "stranger.png").write_bytes(make_png(99))
    assert cbmir("query", tmp_path / "stranger.png").status == 0
    assert sorted((tmp_path / "data" / "pictures").rglob("*.png")) == kept, "a query's picture is not kept"

    result = cbmir(
        "evaluate", "--k", "1,5", "--label", "subclass", "--report", tmp_path / "report", "--json", "--probe", "all"
    ).json
    assert list(result["probes"]) == ["leakage", "duplicates", "source", "border", "unseen"]
    assert result["probes"]["border"]["queries"] == result["queries"]
    assert set(result) >= {"encoder", "label", "queries", "gallery", "at", "per_class"}
    assert set(result["at"]) == {"1", "5"}
    assert set(result["at"]["5"]) >= {"accuracy", "precision", "recall", "recall_capped", "map"}
    assert (tmp_path / "report" / "report.html").is_file()

    assert cbmir("export", tmp_path / "features.json").status == 0
    document = json.loads((tmp_path / "features.json").read_text())
    assert document["schema"] == "cbmir-features/1"
    assert len(document["features"]) == 24
    assert len(document["features"][0]["feature"]) == 48
    assert cbmir("--data", tmp_path / "other", "import", tmp_path / "features.json").status == 0
    assert cbmir("export", tmp_path / "again.json", "--data", tmp_path / "other").status == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["features"] == document["features"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["ingest"], 2, "Missing argument"),
        (["ingest", "no-such-folder"], 2, "'no-such-folder' does not exist"),
        (["train", "--epochs", "0"], 2, "0 is not in the range"),
        (["train"], 1, "cbmir ingest"),
        (["extract"], 1, "cbmir ingest"),
        (["query", "1.2.3"], 1, "cbmir ingest"),
        (["query", "1.2.3", "-k", "0"], 2, "0 is not in the range 1<=x<=1000"),
        (["query", "1.2.3", "--priors", "1001"], 2, "1001 is not in the range"),
        (["query", "1.2.3", "--where", "modality>=mri"], 2, "compares what has no order. Only study_date takes"),
        (["query", "no-such-file.png"], 1, "neither a file nor a SOP Instance UID"),
        (["evaluate", "--k", "five"], 2, "whole numbers with commas"),
        (["evaluate", "--k", "0,5"], 2, "whole numbers with commas"),
        (["evaluate", "--seed", "-1"], 2, "-1 is not in the range"),
        (["export", "features.json"], 1, "cbmir ingest"),
        (["export", "nowhere/features.json"], 2, "there is no folder nowhere; make it first"),
        (["jobs", "--database", "mysql://x/y"], 1, "Use SQLite or PostgreSQL"),
        (["jobs", "--database", "postgresql://nobody@127.0.0.1:1/x"], 1, "database does not answer"),
    ],
)
def test_wrong_calls_end_with_one_clear_line(
    cbmir: Callable[..., Any], words: list[str], status: int, said: str
) -> None:
    result = cbmir(*words)
    assert (result.status, said in result.err) == (status, True), result.err
    assert "Traceback" not in result.err


def test_a_file_that_cannot_be_used_is_named_once_by_its_whole_path(
    cbmir: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("notes.txt", "more notes.txt"):
        (folder / name).write_text("no picture")
    for handed_in in (folder, folder / "notes.txt", folder / "more notes.txt"):
        told = cbmir("ingest", handed_in).err.splitlines()
        assert told
        for line in told:
            assert line.startswith(f"cbmir: {folder}/")
            assert line.count("notes.txt") == 1


def test_every_command_explains_itself(cbmir: Callable[..., Any]) -> None:
    listed = cbmir("--help").out.split("Commands:")[1].split("\n")
    names = [line.split()[0] for line in listed if line.startswith("  ") and not line.startswith("   ")]
    assert {"ingest", "train", "extract", "query", "evaluate", "export", "import", "jobs", "db", "up"} <= set(names)
    for name in names:
        assert "Usage:" in cbmir(name, "--help").out


def test_a_manifest_with_problems_tells_each_and_goes_on(cbmir: Callable[..., Any], labelled: Path) -> None:
    with (labelled / "manifest.csv").open("a") as manifest:
        manifest.write("\ngone.png,mri,a,patient1\n0.png,mri,b,patient1\n")
    result = cbmir("ingest", labelled, "--labels", labelled / "manifest.csv")
    assert result.status == 1
    assert "23 ingested, 0 known already, 1 set aside, 1 failed." in result.out
    assert "gone.png stands in manifest.csv but is not there." in result.err
    assert "0.png stands in manifest.csv 2 times with different labels." in result.err
