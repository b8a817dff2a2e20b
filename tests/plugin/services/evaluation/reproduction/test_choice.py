from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cbmir.archive.manifest import Manifest
from cbmir.errors import BadManifest
from cbmir.services.evaluation.reproduction.choice import choose


def manifest(folder: Path, lines: list[str]) -> Manifest:
    path = folder / "manifest.csv"
    path.write_text("\n".join(["path,modality,subclass,group", *lines]) + "\n")
    return Manifest.read(path)


@pytest.fixture
def some(tmp_path: Path) -> Manifest:
    """Forty hands of a patient each, ten heads with four pictures each, and one recording of twenty."""
    hands = [f"hand-{n}.png,xray,hand,h{n}" for n in range(40)]
    heads = [f"head-{n}-{m}.png,mri,head,m{n}" for n in range(10) for m in range(4)]
    recording = [f"rest-{n}.png,eeg,rest,e" for n in range(20)]
    return manifest(tmp_path, hands + heads + recording)


def kinds(files: list[Path]) -> Counter[str]:
    return Counter(path.name.split("-")[0] for path in files)


def test_all_are_chosen_without_a_limit(some: Manifest) -> None:
    assert kinds(choose(some, None, 0)) == {"hand": 40, "head": 40, "rest": 20}


@pytest.mark.parametrize("limit", [8, 24, 50])
def test_patients_stay_whole_and_subclasses_in_proportion(some: Manifest, limit: int) -> None:
    found = kinds(choose(some, limit, 3))
    assert limit <= found.total() < limit + 20
    assert found["head"] % 4 == 0
    assert found["rest"] in (0, 20)
    assert abs(found["hand"] - found["head"]) <= 4


def test_the_seed_chooses(some: Manifest) -> None:
    assert choose(some, 24, 1) == choose(some, 24, 1)
    assert choose(some, 24, 1) != choose(some, 24, 2)


@pytest.mark.parametrize(("line", "lacking"), [("a.png,xray,hand,", "group"), ("a.png,,hand,g", "modality")])
def test_what_cannot_be_judged_is_named(tmp_path: Path, line: str, lacking: str) -> None:
    with pytest.raises(BadManifest, match=f"a.png has no {lacking}"):
        choose(manifest(tmp_path, [line]), None, 0)
