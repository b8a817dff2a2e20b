"""A document that is no good is refused with the number of its row, and leaves nothing behind."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from cbmir.errors import BadExport
from cbmir.progress import Silence
from cbmir.services.features.export import import_json
from cbmir.settings import Settings
from cbmir.store.document import published_schema
from cbmir.store.session import Database
from cbmir.store.tables import Base

NEEDED = published_schema()["$defs"]["feature"]["required"]


def read_in(database: Database, settings: Settings, document: bytes | Mapping[str, Any]) -> dict[str, Any]:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return import_json(database, settings, BytesIO(data), Silence())


def is_empty(database: Database) -> bool:
    with database.read() as session:
        return not any(
            session.scalar(select(func.count()).select_from(table)) for table in Base.metadata.sorted_tables
        )


REGION = {"x0": 0, "y0": 0, "x1": 5, "y1": 5, "spatial_format": 1, "data_type": 1}
CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "its 'feature' is a word": lambda row: row.update(feature="0.1 0.2"),
    "its feature is short": lambda row: row["feature"].pop(),
    "its feature is long": lambda row: row["feature"].append(1.0),
    "its feature is empty": lambda row: row.update(feature=[]),
    "its feature holds null": lambda row: row["feature"].__setitem__(1, None),
    "its feature holds a word": lambda row: row["feature"].__setitem__(1, "NaN"),
    "its feature holds a truth": lambda row: row["feature"].__setitem__(1, True),
    "its feature holds a list": lambda row: row["feature"].__setitem__(1, [1.0]),
    "its feature holds NaN": lambda row: row["feature"].__setitem__(1, float("nan")),
    "its feature holds infinity": lambda row: row["feature"].__setitem__(1, float("-inf")),
    "its feature is beyond float32": lambda row: row["feature"].__setitem__(1, 1e39),
    "its feature is far beyond": lambda row: row["feature"].__setitem__(1, 10**400),
    "no file name": lambda row: row.update(file_name=""),
    "a file name with NUL": lambda row: row.update(file_name="a\0b"),
    "a file name of null": lambda row: row.update(file_name=None),
    "steps are a text": lambda row: row.update(steps="window"),
    "a step is empty": lambda row: row.update(steps=[""]),
    "steps without end": lambda row: row.update(steps=["x"] * 65),
    "no frame at all": lambda row: row.update(frame_count=0),
    "a laterality of two letters": lambda row: row.update(laterality="LR"),
    "a region without corners": lambda row: row.update(ultrasound_regions=[{"x0": 1}]),
    "a region with a word": lambda row: row.update(ultrasound_regions=[{**REGION, "x1": "wide"}]),
    "a region that knows more": lambda row: row.update(ultrasound_regions=[{**REGION, "name": "Doe"}]),
    "labels are a list": lambda row: row.update(labels=["x"]),
    "a label is a number": lambda row: row.update(labels={"subclass": 1}),
    "a label is too long": lambda row: row.update(labels={"subclass": "x" * 201}),
    "a label has no name": lambda row: row.update(labels={"": "x"}),
    "label is a number": lambda row: row.update(label=3),
    "group is null": lambda row: row.update(group=None),
    "group is too long": lambda row: row.update(group="g" * 201),
    "frame 0": lambda row: row.update(frame_number=0),
    "frame 1.5": lambda row: row.update(frame_number=1.5),
    "frame true": lambda row: row.update(frame_number=True),
    "frame beyond all": lambda row: row.update(frame_number=2**31),
    "a short hash": lambda row: row.update(sha256="abc"),
    "a hash in capitals": lambda row: row.update(sha256="A" * 64),
    "a uid of letters": lambda row: row.update(sop_instance_uid="1.2.x"),
    "a uid that is long": lambda row: row.update(sop_instance_uid="1" * 65),
    "a uid of ''": lambda row: row.update(sop_instance_uid=""),
    "an unknown origin": lambda row: row.update(label_origins={"subclass": "heaven"}),
    "an origin of no kind": lambda row: row.update(label_origins={"subclass": ["user"]}),
    "an unknown part": lambda row: row.update(part="exam"),
    "a part of no kind": lambda row: row.update(part=["test"]),
    "a time of no zone": lambda row: row.update(created_at="2024-01-01T00:00:00"),
    "a time that is none": lambda row: row.update(created_at="yesterday"),
    "a picture's key is a path": lambda row: row.update(picture="../../etc/passwd"),
    "fewer than no rows": lambda row: row.update(rows=-1),
    "a modality too long": lambda row: row.update(modality="M" * 17),
    **{f"no {key}": lambda row, key=key: row.pop(key) for key in NEEDED},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_bad_row_is_named_and_nothing_is_imported(settings: Settings, database: Database, what: str) -> None:
    document = copy.deepcopy(GOOD)
    CHANGES[what](document["features"][2])
    with pytest.raises(BadExport, match="row 3: ") as caught:
        read_in(database, settings, document)
    assert "Nothing of it was imported" in caught.value.remedy
    assert "secret" not in caught.value.sentence
    assert is_empty(database)


@pytest.mark.parametrize("what", CHANGES)
def test_the_published_schema_refuses_the_same_rows(what: str) -> None:
    document = copy.deepcopy(GOOD)
    CHANGES[what](document["features"][2])
    beyond_a_schema = {"its feature is short", "its feature is long", "a time of no zone", "a file name with NUL"}
    validator = Draft202012Validator(published_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    if what in beyond_a_schema or "NaN" in what or what == "a time that is none":
        return
    assert not validator.is_valid(document)


def numbered(number: int) -> dict[str, Any]:
    return {
        "file_name": f"secret-{number}.png",
        "feature": [0.5, 1, -2.0, 1e-3],
        "label": "x",
        "labels": {"subclass": "x"},
        "group": f"p-{number}",
        "sop_instance_uid": f"1.2.{number}",
        "frame_number": 1,
        "sha256": hashlib.sha256(bytes([number])).hexdigest(),
        "label_origins": {"subclass": "folder"},
        "part": "test",
        "picture": "0" * 64,
        "rows": 3,
        "columns": 4,
        "modality": "MR",
        "created_at": "2024-01-01T00:00:00Z",
    }


GOOD: dict[str, Any] = {
    "schema": "cbmir-features/1",
    "encoder": {
        "id": "net-1",
        "architecture": "net",
        "dimension": 4,
        "weights_sha256": "1" * 64,
        "preprocessing": {"side": 64},
    },
    "features": [numbered(n) for n in range(4)],
}


def test_the_good_document_is_good(database: Database, settings: Settings) -> None:
    Draft202012Validator(published_schema()).validate(GOOD)
    assert read_in(database, settings, GOOD)["features"] == 4


def dumped(change: Callable[[bytes], bytes]) -> bytes:
    return change(json.dumps(GOOD).encode())


def deep(member: bytes) -> Callable[[bytes], bytes]:
    """A member `x` of many lists within each other, before some other member."""
    nested = b"[" * 9000 + b"]" * 9000
    return lambda text: text.replace(member, b'"x": ' + nested + b", " + member, 1)


def in_lines(change: Callable[[bytes], bytes]) -> bytes:
    """A row a line, as this program writes it."""
    rows = b",\n".join(json.dumps(row).encode() for row in GOOD["features"])
    head = b'{"schema": "cbmir-features/1",\n"encoder": %b,\n"features": [\n' % json.dumps(GOOD["encoder"]).encode()
    return change(head + rows + b"\n]}\n")


TEXTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no JSON"),
    "a letter": (b"Dear colleague,", "no JSON"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "no JSON"),
    "a list": (b"[]", "schema"),
    "a number": (b"7", "schema"),
    "an empty object": (b"{}", "schema"),
    "cut in the head": (dumped(lambda text: text[:60]), "no JSON"),
    "cut in the third row": (dumped(lambda text: text[: text.index(b"secret-2") + 30]), "row 3: "),
    "cut at the very end": (dumped(lambda text: text[:-1]), "row 5: "),
    "a comma too many": (dumped(lambda text: text[:-2] + b",]}"), "row 5: "),
    "something behind it": (dumped(lambda text: text + b"{}"), "row 5: "),
    "bytes that are no text": (dumped(lambda text: text.replace(b"secret-1", b"secret\xff")), "row 2: "),
    "the same in lines": (in_lines(lambda text: text.replace(b"secret-1", b"secret\xff")), "row 2: "),
    "a name that is no text": (
        in_lines(lambda text: text.replace(b'{"file_name"', b'{"\xff": 1, "file_name"')),
        "row 1: ",
    ),
    "brackets without end": (b'{"x": ' + b"[" * 9000, "within each other"),
    "a head too deep": (dumped(deep(b'"encoder"')), "within each other"),
    "a row too deep": (dumped(deep(b'"frame_number"')), "within each other"),
    "the same in a line": (in_lines(deep(b'"frame_number"')), "within each other"),
    "NaN": (dumped(lambda text: text.replace(b"0.001", b"NaN", 1)), "row 1: "),
}
HEADS: dict[str, tuple[dict[str, Any], str]] = {
    "another schema": ({"schema": "cbmir-features/2"}, "cbmir-features/2"),
    "a schema of another kind": ({"schema": 1}, "no schema"),
    "no encoder": ({"encoder": None}, "encoder: It is missing"),
    "an encoder without id": ({"encoder": {**GOOD["encoder"], "id": ""}}, "encoder: Its 'id'"),
    "an encoder's id is a path": ({"encoder": {**GOOD["encoder"], "id": "../up"}}, "'id'"),
    "no dimension": ({"encoder": {**GOOD["encoder"], "dimension": 0}}, "'dimension'"),
    "preprocessing is a list": ({"encoder": {**GOOD["encoder"], "preprocessing": []}}, "'preprocessing'"),
    "training is a list": ({"encoder": {**GOOD["encoder"], "training": [1]}}, "'training'"),
    "features are missing": ({"features": None}, "list of features"),
    "features are an object": ({"features": {"first": {}}}, "list of features"),
    "a row is a list": ({"features": [numbered(0), []]}, "row 2: "),
    "a row is null": ({"features": [None]}, "row 1: "),
    "a row twice": ({"features": [numbered(0), numbered(1), numbered(0)]}, "row 3: It repeats"),
    "a uid of two files": (
        {"features": [numbered(0), numbered(1), numbered(2) | {"sop_instance_uid": "1.2.0"}]},
        "row 3: Its SOP Instance UID names another file",
    ),
    "a file of two uids": (
        {"features": [numbered(0), numbered(1), {**numbered(0), "frame_number": 2, "sop_instance_uid": "1.2.9"}]},
        "row 3: Its file has another SOP Instance UID",
    ),
    "a file of one uid and none": (
        {"features": [numbered(0), {**numbered(0), "frame_number": 2, "sop_instance_uid": None}]},
        "row 2: Its file has another SOP Instance UID",
    ),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_that_is_no_document(database: Database, settings: Settings, what: str) -> None:
    text, reason = TEXTS[what]
    with pytest.raises(BadExport, match=reason):
        read_in(database, settings, text)
    assert is_empty(database)


@pytest.mark.parametrize("what", HEADS)
def test_a_document_of_another_shape(database: Database, settings: Settings, what: str) -> None:
    change, reason = HEADS[what]
    with pytest.raises(BadExport, match=reason):
        read_in(database, settings, GOOD | change)
    assert is_empty(database)


def test_an_error_names_the_file(database: Database, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_bytes(dumped(lambda text: text[:-9]))
    with file.open("rb") as source, pytest.raises(BadExport, match=r"mine\.json, row 4: "):
        import_json(database, settings, source, Silence())


def test_an_error_of_the_encoder_names_the_file_and_says_what_to_do(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(GOOD | {"encoder": {**GOOD["encoder"], "id": "a b"}}), encoding="utf-8")
    with file.open("rb") as source, pytest.raises(BadExport, match=r"mine\.json, encoder: Its 'id'") as caught:
        import_json(database, settings, source, Silence())
    assert "Nothing of it was imported" in caught.value.remedy
