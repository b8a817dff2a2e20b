"""The filter: what it reads, what it refuses, and which instances it keeps on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import select

from cbmir.errors import BadRequest
from cbmir.store.filters import Where, written
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import InstanceHeader

Kept = Callable[[Database, Where], list[str]]

NAMES = ["mr", "mr-labelled", "dx", "png-mri", "png-xray", "png-eeg", "png-bare"]


@pytest.fixture
def archive(
    any_database: Database,
    new_instance: Callable[..., Instance],
    new_header: Callable[..., InstanceHeader],
) -> Database:
    with any_database.write() as session:
        new_instance(session, "mr", of=new_header("1.1", "MR", "HEAD"), group="p-1")
        new_instance(
            session,
            "mr-labelled",
            of=new_header("1.2", "MR", "Knee"),
            group="p-1",
            labels={"modality": "scan", "subclass": "tear"},
        )
        new_instance(session, "dx", of=new_header("1.3", "DX", "CHEST"), labels={"modality": "xray"}, group="p-2")
        new_instance(session, "png-mri", labels={"modality": "mri", "subclass": "brain_glioma"}, group="p-3")
        new_instance(session, "png-xray", labels={"modality": "XRay", "subclass": "Ödem"}, group="p-3")
        new_instance(session, "png-eeg", labels={"modality": "eeg", "subclass": "tear"}, group="p-4")
        new_instance(session, "png-bare", group="p-5")
    return any_database


KEPT: list[tuple[list[str], list[str]]] = [
    ([], NAMES),
    (["modality=MR"], ["mr", "mr-labelled", "png-mri"]),
    (["modality=mr"], ["mr", "mr-labelled", "png-mri"]),
    (["modality=mri"], ["png-mri"]),
    (["modality=scan"], ["mr-labelled"]),
    (["modality=CR"], ["png-xray"]),  # the code says xray; a DICOM object of another code is no CR
    (["modality=DX"], ["dx", "png-xray"]),
    (["modality=xray"], ["dx", "png-xray"]),
    (["modality=XRAY"], ["dx", "png-xray"]),
    (["modality=EEG"], ["png-eeg"]),
    (["modality=OPT"], []),
    (["modality=MR OR modality=EEG"], ["mr", "mr-labelled", "png-mri", "png-eeg"]),
    (["body_part!=HEAD"], [name for name in NAMES if name != "mr"]),  # whoever has no body part, too
    (["modality=MR", "subclass!=tear"], ["mr", "png-mri"]),
    (["subclass=tear OR body_part=CHEST", "modality!=EEG"], ["mr-labelled", "dx"]),
    (["modality!=MR OR body_part=HEAD", "subclass!=tear"], ["mr", "dx", "png-xray", "png-bare"]),
    (["archive=pacs"], []),
    (["archive!=pacs"], NAMES),
    (["body_part=head"], ["mr"]),
    (["body_part=KNEE"], ["mr-labelled"]),
    (["subclass=tear"], ["mr-labelled", "png-eeg"]),
    (["subclass=Tear"], []),
    (["group=p-1"], ["mr", "mr-labelled"]),
    (["group!=p-1", "group!=p-3"], ["dx", "png-eeg", "png-bare"]),
    (["group=p-5 OR group=p-1", "subclass!=tear"], ["mr", "png-bare"]),
    (["group=nobody"], []),
    (["subclass=Ödem"], ["png-xray"]),
    (["subclass=tear", "modality=EEG"], ["png-eeg"]),
    (["subclass=tear", "body_part=knee", "modality=MR"], ["mr-labelled"]),
    (["subclass=tear", "body_part=head"], []),
    (["side=left"], []),
    (["subclass=' OR 1=1 --"], []),
    (["subclass=%"], []),
]


def test_what_a_filter_keeps(archive: Database, kept: Kept) -> None:
    assert [(terms, kept(archive, Where.parse(terms))) for terms, _ in KEPT] == KEPT


def test_leaving_out_a_patient_or_an_instance(archive: Database, kept: Kept) -> None:
    assert kept(archive, Where(exclude_group="p-3")) == [*NAMES[:3], *NAMES[5:]]
    assert kept(archive, Where(exclude_group="nobody")) == NAMES
    with archive.read() as session:
        first = session.scalars(select(Instance.id).where(Instance.file_name == "mr")).one()
    assert kept(archive, Where(exclude_instance=first)) == NAMES[1:]
    assert kept(archive, Where(modality="MR", exclude_instance=first, exclude_group="p-3")) == ["mr-labelled"]


def test_parse_reads_names_values_and_spaces() -> None:
    where = Where.parse([" modality = MR ", "body_part=HEAD", "subclass=a=b", "side=left", "side=left"])
    assert where == Where(modality="MR", body_part="HEAD", label={"subclass": "a=b", "side": "left"})


@pytest.mark.parametrize("term", ["", "modality", "modality=", "=MR", " = ", "="])
def test_parse_refuses_what_is_no_term(term: str) -> None:
    with pytest.raises(BadRequest, match="NAME=VALUE"):
        Where.parse([term])


@pytest.mark.parametrize("terms", [[" OR ".join(["side=left"] * 65)], ["side=left"] * 65, ["a=b OR a=c"] * 33])
def test_a_filter_without_end_is_refused(terms: list[str]) -> None:
    with pytest.raises(BadRequest, match="more than 64 terms"):
        Where.parse(terms)
    assert Where.parse([" OR ".join(["side=left"] * 64)]).any_of == [["side=left"] * 64]


@pytest.mark.parametrize("term", ["modality>=mri", "body_part <= HEAD", "side=left OR subclass>=b"])
def test_parse_refuses_to_compare_what_has_no_order(term: str) -> None:
    with pytest.raises(BadRequest, match="compares what has no order"):
        Where.parse([term])


@pytest.mark.parametrize("name", ["size>", "size<", "size!"])
def test_a_label_whose_name_ends_like_a_comparison_is_reached_by_a_blank(
    any_database: Database, new_instance: Callable[..., Instance], name: str, kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "has", labels={name: "5"})
        new_instance(session, "has-not", labels={name.rstrip("<>!"): "5"})
    for terms, names in [
        ([f"{name} =5"], ["has"]),
        ([f"{name} = 5 OR side=left"], ["has"]),
        ([f"{name}!=5"], ["has-not"]),
    ]:
        where = Where.parse(terms)
        assert kept(any_database, where) == names
        assert kept(any_database, Where.from_json(where.as_json())) == names


def test_json_may_ask_for_a_label_that_reads_like_a_choice(
    any_database: Database, new_instance: Callable[..., Instance], kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "both", labels={"finding": "mass OR finding=cyst", "left OR right": "left"})
        new_instance(session, "one", labels={"finding": "mass", "right": "left"})
    for term in ("finding=mass OR finding=cyst", "left OR right=left", "finding!=mass"):
        assert kept(any_database, Where.from_json({"any_of": [[term]]})) == ["both"]


NASTY = [
    "black OR white",
    "mass OR finding=cyst",
    'a "b" OR "c"',
    '"quoted"',
    "either OR",
    "OR else",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("value", NASTY)
def test_any_value_can_be_written_so_that_it_is_found(
    any_database: Database, new_instance: Callable[..., Instance], value: str, kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "has", labels={"finding": value})
        new_instance(session, "other", labels={"finding": "black"})
    term = written("finding", value)
    assert kept(any_database, Where.parse([term])) == ["has"]
    assert kept(any_database, Where.parse([f"{term} OR finding=black"])) == ["has", "other"]
    assert kept(any_database, Where.parse([f"side=left OR {term}"])) == ["has"]
    assert kept(any_database, Where.parse([term.replace("=", "!=", 1)])) == ["other"]


@pytest.mark.parametrize("name", [*(name for name in NASTY if "=" not in name), "either OR!"])
def test_any_name_of_a_label_can_be_written_so_that_it_is_found(
    any_database: Database, new_instance: Callable[..., Instance], name: str, kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "has", labels={name: "red OR blue"})
        new_instance(session, "other", labels={"finding": "black"})
    term = written(name, "red OR blue")
    assert kept(any_database, Where.parse([term])) == ["has"]
    assert kept(any_database, Where.parse([f"finding=black OR {term}"])) == ["has", "other"]
    assert kept(any_database, Where.parse([term.replace("=", "!=", 1)])) == ["other"]


def test_quotes_keep_a_value_whole_and_are_a_part_of_any_other() -> None:
    assert Where.parse(['subclass="black OR white"']).label == {"subclass": "black OR white"}
    assert Where.parse(['subclass="black"']).label == {"subclass": '"black"'}
    assert Where.parse(['"read OR reported"=yes']).label == {"read OR reported": "yes"}
    assert Where.parse(['"read"=yes']).label == {'"read"': "yes"}
    assert Where.parse(["a=b OR c=d"]).any_of == [["a=b", "c=d"]]
    with pytest.raises(BadRequest, match="'white' is not NAME=VALUE") as raised:
        Where.parse(["subclass=black OR white"])
    assert "in double quotes" in raised.value.remedy


def test_a_label_named_group_is_found_beside_the_groups(
    any_database: Database, new_instance: Callable[..., Instance], kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "labelled", labels={"group": "p-1"}, group="p-2")
        new_instance(session, "grouped", group="p-1")
    assert kept(any_database, Where.parse(["group=p-1"])) == ["labelled", "grouped"]
    assert kept(any_database, Where.parse(["group!=p-1"])) == []


def test_the_archives_that_a_filter_names() -> None:
    terms = ["archive=a", "archive!=b", "archive=c OR study_date>=2024-01-01 OR modality!=archive"]
    assert Where.parse(terms).archives() == {"a", "b", "c"}
    assert Where.parse(["modality=MR"]).archives() == set()


@pytest.mark.parametrize("name", ["modality", "body_part", "archive", "group"])
def test_parse_refuses_two_values_of_what_has_one(name: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} twice"):
        Where.parse([f"{name}=a", f"{name}=b"])


@pytest.mark.parametrize(
    "where",
    [
        Where(),
        Where(modality="MR", label={"subclass": "x"}, body_part="HEAD", exclude_group="p", exclude_instance=7),
    ],
)
def test_json_comes_back(where: Where) -> None:
    assert Where.from_json(where.as_json()) == where


def test_json_may_leave_keys_out_or_null() -> None:
    assert Where.from_json({}) == Where()
    assert Where.from_json({"modality": "MR"}) == Where(modality="MR")
    assert Where.from_json({"label": None, "modality": None, "exclude_instance": None}) == Where()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "modality=MR",
        {"colour": "red"},
        {1: "x"},
        {"modality": 1},
        {"modality": ["MR"]},
        {"body_part": {}},
        {"label": "x"},
        {"label": {"subclass": 1}},
        {"label": {"subclass": None}},
        {"exclude_instance": "7"},
        {"exclude_instance": True},
        {"exclude_instance": 7.0},
        {"exclude_group": 7},
    ],
)
def test_json_of_another_shape_is_refused(document: object) -> None:
    with pytest.raises(BadRequest, match="filter"):
        Where.from_json(document)


def test_a_filter_does_not_change_with_the_document_it_came_from() -> None:
    document = {"label": {"subclass": "x"}}
    where = Where.from_json(document)
    document["label"]["subclass"] = "y"
    assert where.label == {"subclass": "x"}


DATED = {"a": date(2023, 12, 31), "b": date(2024, 1, 1), "c": date(2024, 6, 15), "none": None}

KEPT_BY_DATE: list[tuple[list[str], str]] = [
    (["study_date>=2024-01-01"], "bc"),
    (["study_date > 2024-01-01"], "c"),
    (["study_date<=20240101"], "ab"),
    (["study_date<2024-01-01"], "a"),
    (["study_date=2024-01-01"], "b"),
    (["study_date!=2024-01-01"], "ac"),  # not whoever has none
    (["study_date>=2024-01-01", "study_date<=2024-12-31"], "bc"),
    (["study_date>=2023-01-01", "study_date>=2024-02-01"], "c"),
    (["study_date<2024-01-01 OR study_date>2024-01-01"], "ac"),
    (["study_date=2024-06-15 OR modality=CT"], "ac"),
    (["study_date!=2024-06-15 OR body_part=HEAD"], "ab"),
    (["study_date>=2024-01-01", "modality!=CT"], "bc"),
    (["study_date<=9999-12-31"], "abc"),
]


def test_study_dates(
    any_database: Database,
    new_instance: Callable[..., Instance],
    new_header: Callable[..., InstanceHeader],
    kept: Kept,
) -> None:
    with any_database.write() as session:
        for number, (name, day) in enumerate(DATED.items()):
            new_instance(session, name, of=new_header(f"1.{number + 1}", "CT" if name == "a" else "MR", "", day))
        new_instance(session, "plain")
    found = [(terms, kept(any_database, Where.parse(terms))) for terms, _ in KEPT_BY_DATE]
    assert found == [(terms, list(names)) for terms, names in KEPT_BY_DATE]


@pytest.mark.parametrize(
    "term",
    [
        "study_date=",
        "study_date=2024",
        "study_date>=2024-13-01",
        "study_date<>2024-01-01",
        "study_date=>2024-01-01",
        "study_date>9999-12-31",
        "study_date!=yesterday",
        "modality=MR OR study_date>=soon",
    ],
)
def test_parse_refuses_what_is_no_day(term: str) -> None:
    with pytest.raises(BadRequest, match=r"day|date"):
        Where.parse([term])


def test_parse_refuses_days_of_which_there_are_none() -> None:
    with pytest.raises(BadRequest, match="2024-02-01 or later and 2024-01-31 or earlier"):
        Where.parse(["study_date>=2024-02-01", "study_date<=2024-01-31"])


def test_dates_come_back_from_json() -> None:
    where = Where.parse(["study_date>=20240131", "study_date<2024-03-01", "study_date!=2024-02-02"])
    told = where.as_json()
    assert (told["study_from"], told["study_to"]) == ("2024-01-31", "2024-02-29")
    assert told["any_of"] == [["study_date!=2024-02-02"]]
    assert Where.from_json(json.loads(json.dumps(told))) == where
    for wrong in ("2024-02-30", 20240131, ["2024-01-31"]):
        with pytest.raises(BadRequest, match=r"day|filter"):
            Where.from_json({"study_from": wrong})
