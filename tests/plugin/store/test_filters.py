"""The filter: what it reads, what it refuses, and which instances it keeps on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from cbmir.errors import BadRequest
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.types import InstanceHeader

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


def kept(database: Database, where: Where) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Instance.file_name).where(*where.clause()).order_by(Instance.id)))


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
    (["subclass=Ödem"], ["png-xray"]),
    (["subclass=tear", "modality=EEG"], ["png-eeg"]),
    (["subclass=tear", "body_part=knee", "modality=MR"], ["mr-labelled"]),
    (["subclass=tear", "body_part=head"], []),
    (["side=left"], []),
    (["subclass=' OR 1=1 --"], []),
    (["subclass=%"], []),
]


def test_what_a_filter_keeps(archive: Database) -> None:
    assert [(terms, kept(archive, Where.parse(terms))) for terms, _ in KEPT] == KEPT


def test_leaving_out_a_patient_or_an_instance(archive: Database) -> None:
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


def test_parse_refuses_two_values_of_one_name() -> None:
    with pytest.raises(BadRequest, match="subclass twice"):
        Where.parse(["subclass=a", "subclass=b"])


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
