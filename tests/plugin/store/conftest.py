"""Rows that the tests of the store begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.store import encoders, instances
from cbmir.store.filters import Look, Where
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Instance
from cbmir.types import InstanceHeader, LabelOrigin, NewFrame


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def header(uid: str, modality: str = "MR", body_part: str = "", study_date: date | None = None) -> InstanceHeader:
    return InstanceHeader(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        modality=modality,
        body_part=body_part,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_key="never stored",
        study_date=study_date,
    )


def add_instance(
    session: Session,
    name: str,
    *,
    of: InstanceHeader | None = None,
    group: str = "p-1",
    labels: Mapping[str, str] | None = None,
    frames: int = 1,
    pictures: str | None = None,
    steps: tuple[str, ...] = (),
) -> Instance:
    """One instance whose pictures have keys of their own, or those of another instance's name."""
    return instances.add(
        session,
        header=of,
        file_name=name,
        origin=f"/archive/{name}",
        sha256=digest(name),
        group_key=group,
        frames=[
            NewFrame(n, digest(f"{pictures or name}/{n}"), 30, 20, "test/1", steps) for n in range(1, frames + 1)
        ],
        labels={key: (value, LabelOrigin.FOLDER) for key, value in (labels or {}).items()},
    )


def add_encoder(session: Session, id: str = "net-1", dimension: int = 4, **fields: Any) -> Encoder:
    values: dict[str, Any] = {
        "architecture": "net",
        "weights_file": f"{id}.safetensors",
        "weights_sha256": digest(id),
        "preprocessing": {"side": 64, "channels": 1},
        "training": {"seed": 0},
        "metrics": {"best_epoch": 3},
        **fields,
    }
    return encoders.add(session, id=id, dimension=dimension, **values)


@pytest.fixture
def new_instance() -> Callable[..., Instance]:
    return add_instance


@pytest.fixture
def new_encoder() -> Callable[..., Encoder]:
    return add_encoder


@pytest.fixture
def new_header() -> Callable[..., InstanceHeader]:
    return header


def kept_by(database: Database, where: Where) -> list[str]:
    """The file names of what a filter keeps: the same, however it looks at them."""
    with database.read() as session:
        looks = [Look(by_row, asked) for by_row in (False, True) for asked in (None, session)]
        first, *others = [
            list(session.scalars(select(Instance.file_name).where(*where.clause(look)).order_by(Instance.id)))
            for look in looks
        ]
    assert others == [first] * len(others)
    return first


@pytest.fixture
def kept() -> Callable[[Database, Where], list[str]]:
    return kept_by
