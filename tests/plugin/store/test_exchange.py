"""Features leave as JSON and come back as the same rows, on either database; a bad document changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from cbmir.errors import BadExport, EncoderMismatch, JobCancelled, NotFound
from cbmir.progress import Silence
from cbmir.services.features import export
from cbmir.services.features.export import export_json, import_json
from cbmir.settings import Settings
from cbmir.store import document_lines, document_stream, document_text, encoders, exported, features, instances
from cbmir.store.document import published_schema
from cbmir.store.labels import set_labels
from cbmir.store.session import Database
from cbmir.store.tables import Base, Encoder, Feature, Frame, Group, GroupPart, Instance, Label
from cbmir.types import InstanceHeader, LabelOrigin, Part, UltrasoundRegion

ASTRAY = np.uint32(0x15AE43FD).view(np.float32)  # 7.038531e-26, which by way of a float64 is read as its neighbour
VECTORS = np.array(
    [[0.1, -0.0, 1 / 3, 1e-45], [3.4028235e38, -3.4028235e38, 0, 2.5], [ASTRAY, 1, 2, 3], [4, 5, 6, 7]], np.float32
)

HOW_IT_WAS_MADE: dict[str, Any] = {
    "photometric": "MONOCHROME2",
    "burned_in_annotation": "YES",
    "laterality": "L",
    "view_position": "MLO",
    "manufacturer": "SIEMENS",
    "model_name": "MAGNETOM VIDA",
    "ultrasound_regions": (UltrasoundRegion(1, 2, 300, 400, 1, 2), UltrasoundRegion(0, 0, 5, 5, 3, 1)),
}


@pytest.fixture
def fill(
    new_instance: Callable[..., Instance],
    new_encoder: Callable[..., Encoder],
    new_header: Callable[..., InstanceHeader],
) -> Callable[[Database], None]:
    """Fills a database with three instances of two patients, four frames, two encoders."""

    def fill(database: Database) -> None:
        with database.write() as session:
            head = replace(new_header("1.2.3.7", "US", "HEAD"), **HOW_IT_WAS_MADE)
            scan = new_instance(
                session,
                "scan.dcm",
                of=head,
                labels={"modality": "mri", "subclass": "tear"},
                frames=2,
                steps=("window: 40/400 LINEAR", "shrink: 512"),
            )
            scan.frame_count = 90
            set_labels(session, scan, {"side": "left"}, LabelOrigin.USER)
            plain = new_instance(session, "eeg/ü 1.png", group="p-2", labels={"modality": "eeg"})
            bare = new_instance(session, "bare.png", group="p-2")
            encoder = new_encoder(session)
            encoders.set_parts(session, encoder.id, {scan.group_id: Part.TRAIN})
            ids = [frame.id for each in (scan, plain, bare) for frame in each.frames]
            features.add_batch(session, encoder, ids, VECTORS)
            other = new_encoder(session, "net-0", dimension=1)
            features.add_batch(session, other, ids[:1], np.ones((1, 1), np.float32))
            new_instance(session, "without feature.png", group="p-3")

    return fill


def written(database: Database, encoder_id: str | None = "net-1") -> bytes:
    out = BytesIO()
    export_json(database, encoder_id, out.write, Silence())
    return out.getvalue()


def read_in(database: Database, settings: Settings, document: bytes | Mapping[str, Any]) -> dict[str, Any]:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return import_json(database, settings, BytesIO(data), Silence())


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What stands in the tables about net-1, in the order of ids, which natural keys replace."""
    with database.read() as session:
        own = (
            select(Feature.vector, Instance.sha256, Frame.frame_number)
            .join(Frame, Frame.id == Feature.frame_id)
            .join(Instance)
            .where(Feature.encoder_id == "net-1")
            .order_by(Feature.frame_id)
        )
        known = [row.sha256 for row in session.execute(own)]
        skipped = {"id", "group_id", "instance_id", "origin", "weights_file", "generation"}

        def columns(table: type[Base]) -> list[Any]:
            return [column for column in table.__table__.columns if column.key not in skipped]

        queries = {
            "encoders": select(*columns(Encoder)).where(Encoder.id == "net-1"),
            "instances": select(Group.key, *columns(Instance)).join(Instance.group).order_by(Instance.id),
            "frames": select(Instance.sha256, *columns(Frame)).join(Frame.instance).order_by(Frame.id),
            "labels": select(Instance.sha256, Label.origin, *columns(Label))
            .join(Label.instance)
            .order_by(Instance.id, Label.name),
            "parts": select(Group.key, GroupPart.part).join(Group, Group.id == GroupPart.group_id),
            "features": own,
        }
        queries |= {
            name: query.where(Instance.sha256.in_(known))
            for name, query in queries.items()
            if name in ("instances", "frames", "labels")
        }
        return {name: [tuple(row) for row in session.execute(query)] for name, query in queries.items()}


def size(database: Database) -> dict[str, int]:
    tables = (Encoder, Group, Instance, Frame, Label, GroupPart, Feature)
    with database.read() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables
        }


@pytest.fixture
def document(database: Database, fill: Callable[[Database], None]) -> dict[str, Any]:
    """An exported document, parsed."""
    fill(database)
    parsed: dict[str, Any] = json.loads(written(database))
    return parsed


@pytest.fixture
def target(any_database: Database) -> Database:
    """Where a document is imported, on either database."""
    return any_database


def test_rows_come_back_bit_for_bit_into_either_database(
    database: Database, target: Database, settings: Settings, fill: Callable[[Database], None]
) -> None:
    fill(database)
    report = read_in(target, settings, written(database))
    assert report == {"encoder": "net-1", "rows": 4, "instances": 3, "frames": 4, "features": 4}
    assert rows(target) == rows(database)
    assert written(target) == written(database)
    with target.read() as session:
        assert features.matrix(session, "net-1")[1].tobytes() == VECTORS.tobytes()


def test_rows_come_back_bit_for_bit_out_of_either_database(
    any_database: Database, database: Database, settings: Settings, fill: Callable[[Database], None]
) -> None:
    fill(any_database)
    read_in(database, settings, written(any_database))
    assert rows(database) == rows(any_database)


def test_batches_do_not_show(
    database: Database,
    target: Database,
    settings: Settings,
    fill: Callable[[Database], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(database)
    whole = written(database)
    monkeypatch.setattr(exported, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(document_text, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(document_stream, "BUFFER_BYTES", 7)
    monkeypatch.setattr(document_lines, "BLOCK_BYTES", 40)
    assert written(database) == whole
    read_in(target, settings, whole)
    assert rows(target) == rows(database)


@pytest.mark.parametrize("foreign", [b'"vector":"AAAA"', b'"vector":[1]', b'"anything":{"x":null}'])
def test_a_key_that_the_schema_does_not_know_changes_nothing(
    database: Database, target: Database, settings: Settings, fill: Callable[[Database], None], foreign: bytes
) -> None:
    fill(database)
    read_in(target, settings, written(database).replace(b'{"file_name":', b'{%b,"file_name":' % foreign))
    assert rows(target) == rows(database)


def test_the_document_follows_the_published_schema(document: dict[str, Any]) -> None:
    schema = published_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)


def test_what_the_document_says(document: dict[str, Any]) -> None:
    first, second, plain, bare = document["features"]
    assert document["schema"] == "cbmir-features/1"
    assert (document["encoder"]["id"], document["encoder"]["dimension"]) == ("net-1", 4)
    assert document["encoder"]["training"] == {"seed": 0}
    assert (first["file_name"], first["sop_instance_uid"], first["group"]) == ("scan.dcm", "1.2.3.7", "p-1")
    assert first["labels"] == {"modality": "mri", "subclass": "tear", "side": "left"}
    assert [row["label"] for row in document["features"]] == ["tear", "tear", "eeg", None]
    assert [row["frame_number"] for row in (first, second)] == [1, 2]
    assert (plain["file_name"], plain["sop_instance_uid"], bare["labels"]) == ("eeg/ü 1.png", None, {})


def test_neither_a_patient_nor_a_path_leaves(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert "never stored" not in text
    assert "/archive" not in text
    assert "origin" not in document["features"][0]


def test_numbers_have_as_many_digits_as_are_safe(database: Database, fill: Callable[[Database], None]) -> None:
    fill(database)
    text = written(database).decode()
    assert '"feature":[0.1000000015,-0.0,0.333333343,1' in text
    assert '"feature":[7.038530691851209e-26,1.0,2.0,3.0]' in text


def test_exporting_an_encoder_that_is_not_there_writes_nothing(database: Database) -> None:
    out = BytesIO()
    for encoder_id in ("net-9", None):
        with pytest.raises(NotFound):
            export_json(database, encoder_id, out.write, Silence())
    assert out.getvalue() == b""


def test_an_encoder_without_features_gives_an_empty_list(
    database: Database, target: Database, settings: Settings, new_encoder: Callable[..., Encoder]
) -> None:
    with database.write() as session:
        new_encoder(session)
    document = written(database)
    assert json.loads(document)["features"] == []
    assert read_in(target, settings, document)["rows"] == 0
    assert size(target)["encoders"] == 1


def test_importing_twice_changes_nothing(target: Database, settings: Settings, document: dict[str, Any]) -> None:
    read_in(target, settings, document)
    before, generation = rows(target), generation_of(target)
    again = read_in(target, settings, document)
    assert again == {"encoder": "net-1", "rows": 4, "instances": 0, "frames": 0, "features": 0}
    assert (rows(target), generation_of(target)) == (before, generation)


def generation_of(database: Database) -> int:
    with database.read() as session:
        return encoders.get(session, "net-1").generation


def test_an_import_moves_the_generation(target: Database, settings: Settings, document: dict[str, Any]) -> None:
    read_in(target, settings, document)
    before = generation_of(target)
    assert before > 0
    with target.write() as session:
        instances.delete(session, session.scalars(select(Instance).where(Instance.file_name == "scan.dcm")).one())
    read_in(target, settings, document)
    assert generation_of(target) > before + 1


def test_an_instance_that_is_here_is_given_the_features(
    target: Database, settings: Settings, document: dict[str, Any], new_instance: Callable[..., Instance]
) -> None:
    with target.write() as session:
        here = new_instance(session, "scan.dcm", group="ours", labels={"modality": "ours"})  # the same bytes
        set_labels(session, here, {"subclass": "certain"}, LabelOrigin.USER)
    document["features"][0]["labels"]["side"] = "left |\n right"
    read_in(target, settings, document)
    with target.read() as session:
        row = session.get_one(Instance, here.id)
        by_hand = {"subclass": ("certain", "user"), "side": ("left|right", "user")}
        found = {label.name: (label.value, label.origin) for label in row.labels}
        assert found == {"modality": ("mri", "folder"), **by_hand}
        assert (row.group.key, row.sop_instance_uid, len(row.frames)) == ("ours", None, 2)
        assert row.frames[0].id == here.frames[0].id
        assert features.count(session, "net-1") == 4
        assert encoders.parts(session, "net-1") == {row.group_id: Part.TRAIN}


def test_only_the_keys_of_the_paper_and_the_identifiers_are_needed(
    target: Database, settings: Settings, document: dict[str, Any]
) -> None:
    needed = published_schema()["$defs"]["feature"]["required"]
    document["features"] = [{key: row[key] for key in needed} for row in document["features"]]
    Draft202012Validator(published_schema()).validate(document)
    read_in(target, settings, document)
    with target.read() as session:
        frame, *_ = session.scalars(select(Frame).order_by(Frame.id))
        assert (frame.picture, frame.pipeline, frame.instance.modality) == ("", "import", None)
        assert {label.origin for label in frame.instance.labels} == {"import"}
        assert features.matrix(session, "net-1")[1].tobytes() == VECTORS.tobytes()


def test_keys_in_another_order_and_unknown_ones_do_no_harm(
    database: Database, target: Database, settings: Settings, document: dict[str, Any]
) -> None:
    document["features"][0]["colour"] = {"deep": [1, None]}
    turned = {"later": {"features": [1]}, "features": document["features"], "encoder": document["encoder"]}
    read_in(target, settings, turned | {"schema": document["schema"]})
    assert rows(target) == rows(database)


def test_a_byte_order_mark_does_no_harm(
    database: Database, target: Database, settings: Settings, document: dict[str, Any]
) -> None:
    for text in (json.dumps(document, indent=2).encode(), written(database)):
        read_in(target, settings, b"\xef\xbb\xbf" + text)
        assert rows(target) == rows(database)
    assert list(document_lines.blocks(BytesIO(b"\xef\xbb\xbf" + text)))[-1] == b"", "the quick way"


def test_an_encoder_comes_without_weights_unless_they_are_here(
    target: Database, settings: Settings, document: dict[str, Any]
) -> None:
    weights = b"the true weights"
    document["encoder"]["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    file = settings.weights / "net-1.safetensors"

    def recorded() -> str:
        read_in(target, settings, document)
        with target.read() as session:
            return encoders.get(session, "net-1").weights_file

    assert recorded() == ""
    settings.weights.mkdir(parents=True)
    file.write_bytes(b"others")
    assert recorded() == ""
    file.write_bytes(weights)
    assert recorded() == file.name
    file.unlink()
    assert recorded() == file.name


@pytest.mark.parametrize("change", [{"weights_sha256": "f" * 64}, {"dimension": 4, "id": "net-0"}])
def test_an_encoder_of_other_weights_is_refused(
    database: Database, settings: Settings, document: dict[str, Any], change: dict[str, Any]
) -> None:
    before = rows(database), size(database)
    document["encoder"].update(change)
    with pytest.raises(EncoderMismatch, match=document["encoder"]["id"]):
        read_in(database, settings, document)
    assert (rows(database), size(database)) == before


def test_a_uid_that_is_stored_with_another_file_is_refused(
    target: Database,
    settings: Settings,
    document: dict[str, Any],
    new_instance: Callable[..., Instance],
    new_header: Callable[..., InstanceHeader],
) -> None:
    with target.write() as session:
        new_instance(session, "another.dcm", of=new_header("1.2.3.7"))
    before = size(target)
    document["features"].reverse()
    with pytest.raises(BadExport, match=r"row 3: .*stored here with another file"):
        read_in(target, settings, document)
    assert size(target) == before


class StopsAt:
    """Progress that is cancelled once the writing has begun."""

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        if message == "importing":
            raise JobCancelled("Enough.")


def test_an_interrupted_import_is_finished_by_the_next(
    database: Database,
    target: Database,
    settings: Settings,
    document: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    with pytest.raises(JobCancelled):
        import_json(target, settings, BytesIO(json.dumps(document).encode()), StopsAt())
    assert size(target)["features"] == read_in(target, settings, document)["features"] == 2
    assert rows(target) == rows(database)


def test_progress_grows_to_its_total(database: Database, settings: Settings, document: dict[str, Any]) -> None:
    seen: list[tuple[int, int]] = []

    class Watch(Silence):
        def update(self, done: int, total: int, *_: Any, **__: Any) -> None:
            seen.append((done, total))

    import_json(database, settings, BytesIO(json.dumps(document).encode()), Watch())
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0
