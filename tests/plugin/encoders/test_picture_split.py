"""Which pictures an encoder was trained on, as hashes; and that of the encoder that comes with the product."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from cbmir.encoders import shipped
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import WeightsMismatch
from cbmir.types import Part

OPEN = ("CC0", "CC BY", "ODC-BY", "BSD", "MIT")
TRAINING = {"data_sha256": "d" * 64, "seed": 3}


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def small() -> PictureSplit:
    parts = [(sha256("a"), Part.TRAIN), (sha256("b"), Part.TEST), (sha256("c"), Part.TRAIN)]
    return PictureSplit.of(**TRAINING, pictures=parts)


def test_it_is_read_as_it_was_written() -> None:
    assert PictureSplit.from_bytes(small().as_bytes(), "a file") == small()


def test_the_same_split_gives_the_same_file() -> None:
    turned = PictureSplit("d" * 64, 3, dict(reversed(small().part_of.items())))
    assert turned.as_bytes() == small().as_bytes()


def test_a_picture_is_known_by_its_hash() -> None:
    assert [small().part(sha256(name)) for name in "abcd"] == [Part.TRAIN, Part.TEST, Part.TRAIN, None]


def test_it_is_of_the_encoders_of_one_training() -> None:
    assert small().is_of({**TRAINING, "epochs": 6})
    for other in ({**TRAINING, "seed": 4}, {**TRAINING, "data_sha256": "e" * 64}, {}):
        assert not small().is_of(other)


@pytest.mark.parametrize("data", [b"", small().as_bytes()[:-4], shipped.weights()], ids=["empty", "cut", "other"])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsMismatch, match="a file"):
        PictureSplit.from_bytes(data, "a file")


def test_the_one_that_is_shipped_is_of_the_encoder_that_is_shipped() -> None:
    split, how = shipped.split(), shipped.description()["training"]
    assert split.is_of(how), "release both anew: cbmir encoders release"
    hashes = {part: 2 * number for part, number in how["images"].items()}  # of the file and of the picture
    assert Counter(part.value for part in split.part_of.values()) == hashes


def test_eight_bytes_a_hash_are_all_that_is_shipped() -> None:
    """What else the file holds, the encoder's description tells as well."""
    data, split = files("cbmir.encoders").joinpath(shipped.SPLIT).read_bytes(), shipped.split()
    assert data == split.as_bytes()
    assert len(data) < 8 * len(split.part_of) + 500


@pytest.mark.shared
def test_the_files_of_the_data_are_known_and_no_others(shared: Path) -> None:
    with (shared / "images" / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    split = shipped.split()
    part = {
        row["path"]: split.part(hashlib.sha256((shared / "images" / row["path"]).read_bytes()).hexdigest())
        for row in rows
    }
    is_open = {row["path"] for row in rows if row["licence"].startswith(OPEN)}
    assert {path for path, found in part.items() if found} == is_open
    groups = {(row["group"], part[row["path"]]) for row in rows if row["path"] in is_open}
    assert len(groups) == len({group for group, _ in groups}), "no patient is in two parts"
