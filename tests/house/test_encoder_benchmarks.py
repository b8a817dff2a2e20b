"""What the benchmarks of encoders count: licences, kept features, trials, figures, goals."""

from __future__ import annotations

import csv
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbmir.encoders import shipped
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import BadManifest, NotFound
from cbmir.types import FloatArray, Part

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import encoders
from encoder_images import OPEN, Images, Kept
from encoder_report import Comparison, Goal, cell
from encoder_trials import Figure, asked, figures, less, needed, one_in_ten, queries, trial

OPEN_ONES = (
    "CC0 (somebody)",
    "CC BY 4.0 (Kermany et al.)",
    "CC BY",
    "CC BY-SA 4.0",
    "ODC-BY 1.0",
    "BSD-3-Clause",
    "MIT",
)
OTHERS = (
    "CC BY-NC 4.0",
    "CC BY-ND",
    "CC BY-NC-SA 4.0",
    "CC BY-SAMPLING",
    "Duke, research use",
    "no licence file",
    "",
)


@pytest.mark.parametrize("licence", OPEN_ONES)
def test_an_open_licence_is_one(licence: str) -> None:
    assert OPEN.match(licence)


@pytest.mark.parametrize("licence", OTHERS)
def test_any_other_is_none(licence: str) -> None:
    assert not OPEN.match(licence)


def test_a_manifest_without_licences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"There is no .*manifest\.csv"):
        Images.read(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,modality,subclass,group\n1.png,xray,hand,g\n")
    with pytest.raises(BadManifest, match="licence"):
        Images.read(tmp_path)


class Mean:
    """An encoder that counts what it encodes."""

    preprocessing = Preprocessing(4)

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, inputs: FloatArray) -> FloatArray:
        self.encoded += len(inputs)
        return inputs.mean((2, 3))


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """Eight groups of two bright and two dark ones each, of one modality or another."""
    rows = []
    for number in range(32):
        group, bright = number // 4, number % 2
        Image.new("L", (6, 6), 200 * bright + number).save(tmp_path / f"{number}.png")
        modality = "xray" if group < 4 else "mri"
        rows.append([f"{number}.png", modality, f"{modality}_{bright}", f"g{group}", "CC0"])
    with (tmp_path / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["path", "modality", "subclass", "group", "licence"], *rows])
    return Images.read(tmp_path)


def test_features_are_kept_for_these_weights_and_images_alone(images: Images, tmp_path: Path) -> None:
    encoder = Mean()
    kept = Kept(images, tmp_path / "kept")
    first = kept.of("mean", "a" * 64, encoder)
    assert first.tolist() == kept.of("mean", "a" * 64, encoder).tolist()
    assert encoder.encoded == 32
    kept.of("mean", "b" * 64, encoder)
    assert encoder.encoded == 64
    Kept(replace(images, sha256="0" * 64), tmp_path / "kept").of("mean", "a" * 64, encoder)
    assert encoder.encoded == 96


def test_the_hashes_of_pictures_tell_the_test_part_of_what_comes_with_cbmir(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="test part"):
        encoders.comes_with_us(images)
    hashes = [hashlib.sha256((images.folder / path).read_bytes()).hexdigest() for path in images.paths]
    split = PictureSplit.of("0" * 64, 0, [(hashes[0], Part.TRAIN), (hashes[4], Part.TEST)])
    monkeypatch.setattr(shipped, "split", lambda: split)
    found = encoders.comes_with_us(images)
    assert (found.groups[Part.TRAIN], found.groups[Part.TEST]) == ({"g0"}, {"g1"})
    assert found.encoder().dimension == 48


def test_no_group_asks_and_is_searched(images: Images) -> None:
    one = trial(images, ["g0", "g5"], 0)
    assert set(images.group[one.queries]) == {"g0", "g5"}
    assert set(images.group[one.gallery]) == set(images.group) - {"g0", "g5"}
    assert one_in_ten([f"{number:02}" for number in range(30)], 1) == ["01", "11", "21"]


def test_a_part_of_the_images_answers_as_all_of_them(images: Images, tmp_path: Path) -> None:
    trials = [trial(images, ["g0"], 0), trial(images, ["g5"], 1)]
    trials = [replace(each, gallery=each.gallery[each.gallery < 24]) for each in trials]
    fewer, same = needed(images, trials)
    assert len(fewer.paths) == 24
    features = [Kept(each, tmp_path / "kept").of("mean", "a" * 64, Mean()) for each in (images, fewer)]
    found = [asked(*each) for each in ((images, [features[0]] * 2, trials), (fewer, [features[1]] * 2, same))]
    assert found[0].values.tolist() == found[1].values.tolist()
    assert found[0].names == found[1].names


def test_figures_are_those_of_the_queries_together(images: Images) -> None:
    trials = [trial(images, ["g0", "g5"], 0), trial(images, ["g1", "g6"], 1)]
    perfect = np.stack([images.modality == "mri", np.char.endswith(images.label, "1")], axis=1).astype(np.float32)
    blind = np.zeros((32, 1), np.float32)
    tables = [asked(images, [each] * 2, trials) for each in (perfect, blind)]
    modalities = images.modality[queries(images, trials)]
    found, worse = (figures(table, modalities) for table in tables)
    assert found["sub-class P@5"] == Figure(1.0, (1.0, 1.0))
    assert found["modality P@5"] == found["macro P@5"] == found["mri P@5"] == Figure(1.0, (1.0, 1.0))
    assert worse["sub-class P@5"].value < 1
    ahead = figures(less(*tables), modalities)
    assert ahead["sub-class P@5"].value == pytest.approx(1 - worse["sub-class P@5"].value)


def test_a_label_of_one_group_is_no_ground_for_a_claim(images: Images) -> None:
    perfect = np.stack([images.modality == "mri", np.char.endswith(images.label, "1")], axis=1).astype(np.float32)
    trials = [trial(images, ["g0", "g1", "g5"], 0)]
    table = asked(images, [perfect], trials)
    values = table.values * (images.modality[queries(images, trials)] == "xray")[:, None]  # nothing of mri is found
    found = figures(replace(table, values=values), images.modality[queries(images, trials)])
    assert found["macro P@5"].value == pytest.approx(0.4)  # four of the five nearest can be right
    assert found["macro P@5, 2+ groups"].value == pytest.approx(0.8)


def test_without_such_a_label_there_is_no_mean(images: Images) -> None:
    trials = [trial(images, ["g0"], 0)]
    found = figures(
        asked(images, [np.zeros((32, 1), np.float32)], trials), images.modality[queries(images, trials)]
    )
    assert np.isnan(found["macro P@5, 2+ groups"].value)
    assert found["sub-class P@5"].interval is None


def test_the_lead_is_over_the_best_of_each_figure(images: Images) -> None:
    trials = [trial(images, ["g0", "g5"], 0)]
    perfect = np.stack([images.modality == "mri", np.char.endswith(images.label, "1")], axis=1).astype(np.float32)
    by_modality, by_label = (asked(images, [perfect[:, [place]]], trials) for place in (0, 1))
    comparison = Comparison(
        {"one": by_modality, "other": by_label},
        {"ours": asked(images, [perfect], trials)},
        images.modality[queries(images, trials)],
    )
    lead = comparison.lead(comparison.tables())
    assert lead["modality P@20"][0] == "one"
    assert lead["modality P@5"] == ("one", Figure(0.0, (0.0, 0.0)))


def test_a_goal_may_have_to_be_exceeded() -> None:
    reached = Figure(0.9, None)
    assert Goal("at", 0.9, reached).is_reached
    assert not Goal("above", 0.9, reached, above=True).is_reached
    assert cell(reached) == "0.900 (one group)"
    assert cell(Figure(0.05, (-0.01, 0.1)), signed=True) == "+0.050 (-0.010 to +0.100)"
