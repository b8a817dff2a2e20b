"""Which instances a filter keeps on both databases, where a label's value names several."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import select, text

from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Instance

Kept = Callable[[Database, Where], list[str]]


SEVERAL = {
    "a": "a",
    "ab": "a|b",
    "ba": " b | a | b",
    "b": "b|",
    "A": "A|c",
    "odd": "a b|%|_",
    "bar": "|",
    "none": None,
}

KEPT_OF_SEVERAL: list[tuple[list[str], str]] = [
    (["finding=a"], "a ab ba"),
    (["finding!=a"], "b A odd bar none"),
    (["finding=b"], "ab ba b"),
    (["finding=a", "finding=b"], "ab ba"),
    (["finding=a", "finding!=b"], "a"),
    (["finding=A OR finding=a b"], "A odd"),
    (["finding=a|b"], "ab"),
    (["finding=b | a"], "ba"),
    (["finding!=a|b"], "a ba b A odd bar none"),
    (["finding=%"], "odd"),
    (["finding=_"], "odd"),
    (["finding=|"], "bar"),
    (["finding=a|c"], ""),
    (["other=a"], ""),
]


def test_a_label_is_found_by_each_that_its_value_names(
    any_database: Database, new_instance: Callable[..., Instance], kept: Kept
) -> None:
    with any_database.write() as session:
        for file_name, value in SEVERAL.items():
            new_instance(session, file_name, labels={"finding": value} if value else {})
    found = [(terms, " ".join(kept(any_database, Where.parse(terms)))) for terms, _ in KEPT_OF_SEVERAL]
    assert found == KEPT_OF_SEVERAL
    for terms, names in KEPT_OF_SEVERAL:
        told = Where.from_json(json.loads(json.dumps(Where.parse(terms).as_json())))
        assert " ".join(kept(any_database, told)) == names


def test_a_modality_is_found_among_several(
    any_database: Database, new_instance: Callable[..., Instance], kept: Kept
) -> None:
    with any_database.write() as session:
        new_instance(session, "both", labels={"modality": "MRI|ct"})
        new_instance(session, "one", labels={"modality": "mri"})
    for terms, names in [
        (["modality=CT"], ["both"]),
        (["modality=MR"], ["both", "one"]),
        (["modality!=ct"], ["one"]),
        (["modality=mri|CT"], ["both"]),
    ]:
        assert kept(any_database, Where.parse(terms)) == names


def test_an_index_leads_to_values_that_name_several(database: Database) -> None:
    with database.read() as session:
        condition = Where(label={"finding": "a"}).clause()[0]
        asked = (
            select(Instance.id).where(condition).compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        )
        plan = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
    assert any("USING INDEX ix_labels_several (name=?)" in step for step in plan), plan
