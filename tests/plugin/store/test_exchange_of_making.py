"""How pictures and features were made travels with the JSON document, and may be missing from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from cbmir.progress import Silence
from cbmir.services.features.export import export_json, import_json
from cbmir.settings import Settings
from cbmir.store import features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Frame, Instance
from cbmir.types import InstanceHeader, UltrasoundRegion

TOLD: dict[str, Any] = {
    "photometric": "MONOCHROME2",
    "burned_in_annotation": "YES",
    "laterality": "L",
    "view_position": "MLO",
    "manufacturer": "SIEMENS",
    "model_name": "MAGNETOM VIDA",
    "ultrasound_regions": (UltrasoundRegion(1, 2, 300, 400, 1, 2), UltrasoundRegion(0, 0, 5, 5, 3, 1)),
}
STEPS = ("window: 40/400 LINEAR", "shrunk: 512 x 512")


@pytest.fixture
def filled(
    any_database: Database,
    new_instance: Callable[..., Instance],
    new_encoder: Callable[..., Encoder],
    new_header: Callable[..., InstanceHeader],
) -> Database:
    """A scan of two frames of which much is known, a plain image of which nothing is; features of all."""
    with any_database.write() as session:
        head = replace(new_header("1.2.3.7", "US"), **TOLD)
        scan = new_instance(session, "scan.dcm", of=head, frames=2, steps=STEPS)
        scan.frame_count = 90
        plain = new_instance(session, "plain.png")
        ids = [frame.id for each in (scan, plain) for frame in each.frames]
        features.add_batch(session, new_encoder(session), ids, np.ones((3, 4), np.float32))
    return any_database


def written(database: Database) -> dict[str, Any]:
    out = BytesIO()
    export_json(database, "net-1", out.write, Silence())
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def read_in(database: Database, settings: Settings, document: dict[str, Any]) -> None:
    import_json(database, settings, BytesIO(json.dumps(document).encode()), Silence())


def test_it_travels(filled: Database, database: Database, settings: Settings) -> None:
    document = written(filled)
    told = document["features"][0]
    assert told["steps"] == list(STEPS)
    assert told["ultrasound_regions"][1] == {
        "x0": 0, "y0": 0, "x1": 5, "y1": 5, "spatial_format": 3, "data_type": 1,
    }  # fmt: skip
    assert (told["photometric"], told["laterality"], told["frame_count"]) == ("MONOCHROME2", "L", 90)
    assert not {"steps", "photometric", "ultrasound_regions"} & set(document["features"][2])
    read_in(database, settings, document)
    assert written(database)["features"] == document["features"]


def test_an_older_document_lacks_it(filled: Database, database: Database, settings: Settings) -> None:
    document = written(filled)
    for row in document["features"]:
        for key in (*TOLD, "steps", "frame_count", "pipeline"):
            row.pop(key, None)
    read_in(database, settings, document)
    with database.read() as session:
        scan = session.scalars(select(Instance).where(Instance.file_name == "scan.dcm")).one()
        assert (scan.photometric, scan.ultrasound_regions, scan.frame_count) == (None, None, 1)
        assert [frame.steps for frame in scan.frames] == [[], []]
        assert features.pipelines(session, "net-1") == {"import": 3}


def test_a_feature_keeps_the_conversion_it_was_made_by(
    filled: Database, database: Database, settings: Settings
) -> None:
    with filled.write() as session:
        session.execute(update(Frame).where(Frame.frame_number == 2).values(pipeline="test/2"))
    document = written(filled)
    assert [row.get("feature_pipeline") for row in document["features"]] == [None, "test/1", None]
    read_in(database, settings, document)
    with database.read() as session:
        assert features.pipelines(session, "net-1") == {"test/1": 3}
        assert set(session.scalars(select(Frame.pipeline))) == {"test/1", "test/2"}


def test_no_study_date_leaves_with_it(
    any_database: Database, new_instance: Any, new_encoder: Any, new_header: Any
) -> None:
    with any_database.write() as session:
        scan = new_instance(session, "scan.dcm", of=new_header("1.2.3.8", "MR", "HEAD", date(2019, 8, 7)))
        features.add_batch(session, new_encoder(session), [scan.frames[0].id], np.ones((1, 4), np.float32))
    document = written(any_database)
    assert document["features"][0]["sop_instance_uid"] == "1.2.3.8"
    assert not any(day in json.dumps(document) for day in ("2019-08-07", "20190807"))
