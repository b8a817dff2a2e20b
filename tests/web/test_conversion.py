"""An image's page and its answer in the API tell how it was converted, and what its header says of the picture."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from cbmir.services.conversion.convert import pipelines
from cbmir.settings import Settings
from cbmir.store import instances
from cbmir.store.session import Database
from cbmir.types import InstanceHeader, NewFrame, UltrasoundRegion
from cbmir_web import conversion

HEADER = InstanceHeader(
    sop_instance_uid="1.2.3",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
    study_instance_uid="1.2",
    series_instance_uid="1.2.1",
    modality="US",
    body_part="",
    transfer_syntax_uid="1.2.840.10008.1.2.4.50",
    patient_key="",
)
TOLD = replace(
    HEADER,
    photometric="YBR_FULL_422",
    burned_in_annotation="YES",
    laterality="L",
    view_position="MLO",
    manufacturer="SIEMENS",
    model_name="MAGNETOM VIDA",
    ultrasound_regions=(UltrasoundRegion(1, 2, 300, 400, 1, 2), UltrasoundRegion(0, 0, 9, 9, 77, 88)),
)


def add(database: Database, frames: list[NewFrame], header: InstanceHeader | None, count: int | None = None) -> int:
    with database.write() as session:
        return instances.add(
            session, header=header, file_name="a.dcm", origin="", sha256="0" * 64, group_key="p-1",
            frames=frames, labels={}, frame_count=count,
        ).id  # fmt: skip


def frame(number: int, pipeline: str, *steps: str) -> NewFrame:
    return NewFrame(number, f"{number:064x}", 30, 40, pipeline, steps)


@pytest.fixture
def today(settings: Settings) -> str:
    """The conversion of DICOM objects as it is now."""
    return pipelines(settings)["dicom-2d"]


def test_the_page_tells_how_it_was_made(client: FlaskClient, database: Database, today: str) -> None:
    same = [frame(number, today, "window: 40/400 LINEAR", "shrunk: <by averaging>") for number in (1, 2, 5)]
    page = client.get(f"/library/{add(database, same, TOLD, 90)}").text
    for said in ("YBR_FULL_422", "JPEG Baseline (Process 1)", "1.2.840.10008.1.2.4.50", "3 shown of 90", today):
        assert said in page
    assert page.count("window: 40/400 LINEAR") == 1, "what is the same for all is said once"
    assert "shrunk: &lt;by averaging&gt;" in page
    assert "Steps, the same for all frames" in page
    assert "outdated" not in page
    for said in ("Yes: it may show a patient", "left", "MLO", "2D, colour flow: columns 2–301, rows 3–401"):
        assert said in page
    assert "of another kind: columns 1–10" in page


def test_what_is_not_known_is_not_there(client: FlaskClient, database: Database, today: str) -> None:
    page = client.get(f"/library/{add(database, [frame(1, today)], None)}").text
    for absent in ("give away", "Photometric", "Transfer syntax", "<h3>", "shown of", ">None<"):
        assert absent not in page


def test_frames_made_in_different_ways_are_folded(client: FlaskClient, database: Database, today: str) -> None:
    old = [frame(1, "dicom-2d/0"), frame(2, today, "a"), frame(3, today, "a"), frame(4, today, "b")]
    page = client.get(f"/library/{add(database, old, HEADER)}").text
    assert re.findall(r"<summary>(Frames? [^< ]+)", page) == ["Frame 1", "Frames 2–3", "Frame 4"]
    assert page.count(">outdated</strong>") == 2, "at the conversion, and at the frame"
    assert "cbmir reconvert" in page
    assert "<li>not recorded</li>" in page


def test_many_ways_are_folded_once_more(client: FlaskClient, database: Database, today: str) -> None:
    many = [frame(number, today, f"window: {number}") for number in range(1, 65)]
    page = client.get(f"/library/{add(database, many, HEADER, 64)}").text
    assert "Steps of each frame, in 64 ways" in page
    assert page.count("<details>") == 65


def test_the_api_tells_the_same(client: FlaskClient, database: Database, today: str) -> None:
    number = add(database, [frame(1, "dicom-2d/0"), frame(2, today, "a", "b")], TOLD, 7)
    told = client.get(f"/api/v1/images/{number}").json
    assert told["transfer_syntax"] == "JPEG Baseline (Process 1)"
    assert [told[name] for name in ("photometric", "burned_in_annotation", "laterality", "view_position")] == [
        "YBR_FULL_422", "YES", "L", "MLO",
    ]  # fmt: skip
    assert (told["manufacturer"], told["model_name"], told["frame_count"]) == ("SIEMENS", "MAGNETOM VIDA", 7)
    assert told["ultrasound_regions"][0] == {
        "x0": 1, "y0": 2, "x1": 300, "y1": 400, "spatial_format": 1, "data_type": 2,
    }  # fmt: skip
    assert [(each["outdated"], each["steps"]) for each in told["frames"]] == [(True, []), (False, ["a", "b"])]


def test_the_api_has_null_for_what_is_not_known(client: FlaskClient, database: Database, today: str) -> None:
    told = client.get(f"/api/v1/images/{add(database, [frame(1, today)], None)}").json
    assert (told["ultrasound_regions"], told["laterality"], told["transfer_syntax"]) == (None, None, "")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([1], "1"), ([1, 2], "1–2"), ([1, 2, 3, 7], "1–3, 7"), ([2, 4, 6], "2, 4, 6"), ([], "")],
)
def test_frame_numbers_in_few_words(numbers: list[int], said: str) -> None:
    assert conversion.ranges(numbers) == said


@pytest.mark.parametrize(
    ("uid", "name"), [(None, ""), ("", ""), ("1.2.3.4", ""), ("1.2.840.10008.1.2", "Implicit VR Little Endian")]
)
def test_a_transfer_syntax_has_a_name_where_one_is_known(uid: str | None, name: str) -> None:
    assert conversion.syntax_name(uid) == name
