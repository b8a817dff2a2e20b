"""`cbmir evaluate`, on features that nothing was trained for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbmir.evaluation.definitions import DEFINITIONS, PROBES
from cbmir.evaluation.metrics import METRICS
from cbmir.evaluation.whole import WHOLE
from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import encoders, features, frames, instances
from cbmir.store.session import Database
from cbmir.types import LabelOrigin, NewFrame, Part

Run = Callable[..., Any]


@pytest.fixture
def archive(cbmir: Run, tmp_path: Path) -> None:
    """Forty patients with an image each: apes near 0 and bats near 1, to `near` but not to `far`; one lone cat."""
    assert cbmir("db", "upgrade").status == 0
    settings = Settings(data=tmp_path / "data")
    with Database(settings.resolved_database_url).write() as session:
        rows = [
            encoders.add(
                session, id=name, architecture="line", weights_file="", weights_sha256=digit * 64, dimension=1,
                preprocessing={}, training={}, metrics={},
            )
            for name, digit in (("far", "0"), ("near", "1"))
        ]  # fmt: skip
        random = np.random.default_rng(0)
        for number in range(41):
            name = "cat" if number == 40 else ("ape", "bat")[number % 2]
            site = ("north", "south")[number // 2 % 2]
            labels = {"subclass": name, "modality": ("mri", "xray")[number // 2 % 2]}
            frame = _frame(session, settings, number, {**labels, "source": site, "group_of_sites": site})
            for row, place in zip(rows, (random.random(), number % 2 + random.random() / 2), strict=True):
                features.add_batch(session, row, [frame], np.array([[place]], np.float32))
        groups = {key: group for group, key in frames.group_keys(session).items()}
        test = {groups[f"patient-{number}"]: Part.TEST for number in (*range(16), 40)}
        encoders.set_parts(session, "near", test)


def _frame(session: Any, settings: Settings, number: int, labels: dict[str, str]) -> int:
    picture = Shelf(settings.pictures).put(np.full((8, 8), number, np.uint8))
    instance = instances.add(
        session,
        header=None,
        file_name=f"{number}.png",
        origin="",
        sha256=hashlib.sha256(bytes([number])).hexdigest(),
        group_key=f"patient-{number}",
        frames=[NewFrame(1, picture, 8, 8, "image/1")],
        labels={name: (value, LabelOrigin.MANIFEST) for name, value in labels.items()},
    )
    return int(instance.frames[0].id)


@pytest.mark.usefixtures("archive")
def test_every_number_is_printed_with_its_interval_and_definition(cbmir: Run) -> None:
    printed = cbmir("evaluate", "--k", "1,5", "--encoder", "near", "--by", "modality").out
    assert printed.startswith(
        "near: 16 queries of 16 groups, 24 images of 24 groups in the gallery, by subclass\n"
        "The test part of the encoder's own"
    )
    for name in (*METRICS, *WHOLE):
        assert name in printed
    assert "By chance the precision is 0.5000." in printed
    assert "all queries (micro)" in printed
    assert "all labels alike (macro)" in printed
    assert "modality mri: 8 queries of 8 groups; at 5: accuracy" in printed
    assert "subclass ape: 8 queries of 8 groups; at 5: accuracy" in printed
    assert "labels of two groups and more" not in printed, "all are such"
    assert "1.000–1.000" in printed
    assert "left out: 1 query to which nothing in the gallery is relevant: cat" in printed
    for name, meaning in DEFINITIONS.items():
        assert (f"\n{name}: {meaning}\n" in printed) is (name not in {*PROBES, "difference", "p"})


@pytest.mark.usefixtures("archive")
def test_the_mean_over_labels_of_several_groups_is_printed_where_it_is_another(cbmir: Run, tmp_path: Path) -> None:
    with Database(Settings(data=tmp_path / "data").resolved_database_url).write() as session:
        groups = {key: group for group, key in frames.group_keys(session).items()}
        parts = {f"patient-{number}": Part.TEST for number in (0, 1, 2, 4, 6)}  # apes, and one bat
        encoders.set_parts(session, "far", {groups[key]: part for key, part in parts.items()})
    run = cbmir("evaluate", "--k", "5", "--encoder", "far", "--report", str(tmp_path / "report"))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "labels of two groups and more alike (macro_several)" in run.out
    assert f"The report: {tmp_path / 'report' / 'report.html'}" in run.out
    assert "\nmacro_several      map_all  " in run.out
    assert "Labels of two groups and more alike (macro_several)" in page


@pytest.mark.usefixtures("archive")
def test_a_label_that_no_image_has_is_refused_by_the_names_that_there_are(cbmir: Run) -> None:
    run = cbmir("evaluate", "--encoder", "near", "--label", "subclas")
    assert run.status == 1
    assert "What images have is: group_of_sites, modality, source, subclass, size" in run.err


@pytest.mark.usefixtures("archive")
def test_what_a_probe_finds_is_printed_and_defined(cbmir: Run) -> None:
    asked = ("--encoder", "near", "--k", "5", "--by", "modality", "--by", "group_of_sites")
    printed = cbmir("evaluate", *asked, "--probe", "leakage", "--probe", "duplicates", "--probe", "source").out
    assert "probe leakage\n  queries: 0\n" in printed
    assert "  flat: 40\n" in printed
    assert "  source: classes 2  fitted 24  tested 16  accuracy " in printed
    assert "  group_of_sites: classes 2" in printed
    assert "  modality: classes" not in printed, "what a picture shows is no source"
    assert "  size: nothing to tell\n" in printed, "all are 8x8"
    for name in ("leakage", "duplicates", "source"):
        assert f"{name}: {DEFINITIONS[name]}" in printed
    lacking = cbmir("evaluate", *asked, "--probe", "border")
    assert (lacking.status, "without its weights" in lacking.err) == (1, True)


@pytest.mark.usefixtures("archive")
def test_two_encoders_are_compared(cbmir: Run) -> None:
    printed = cbmir("evaluate", "--k", "5", "--encoder", "near", "--against", "far").out
    for mean in ("all queries (micro)", "all labels alike (macro)"):
        assert f"less far, the same queries: difference, its interval, two-sided p; {mean}\n   5 " in printed
    assert "  p 0.0" in printed
    assert cbmir("evaluate", "--encoder", "near", "--against", "near").status == 1
