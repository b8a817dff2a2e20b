"""One hit of each study or patient is the best of each, beside brute force over all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from cbmir.errors import EmptyGallery
from cbmir.pictures.shelf import Shelf
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Frame
from cbmir.types import InstanceHeader, LabelOrigin, NewFrame, OnePer

PATIENTS, STUDIES, SLICES = 4, 3, 12
PLAIN = 100
"""Studies from here on are none: plain images."""
Owners = dict[int, tuple[int, int]]


def header(patient: int, study: int) -> InstanceHeader:
    return InstanceHeader(
        sop_instance_uid=f"1.2.{patient}.{study}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        study_instance_uid=f"1.3.{patient}.{study}",
        series_instance_uid=f"1.4.{patient}.{study}",
        modality=("MR", "CT")[study % 2],
        body_part="",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_key="never stored",
    )


@pytest.fixture
def owners(any_database: Database, settings: Settings, add_network: Callable[..., str]) -> Owners:
    """Volumes, and two plain images without a study; patient and study of each frame, by its id. Every fourth frame
    is the same picture."""
    encoder_id, random = add_network(any_database), np.random.default_rng(0)
    key = Shelf(settings.pictures).put(np.zeros((8, 8), np.uint8))
    found: Owners = {}
    with any_database.write() as session:
        volumes = [(patient, study) for patient in range(PATIENTS) for study in range(STUDIES)]
        for patient, study in [*volumes, (PATIENTS, PLAIN), (PATIENTS, PLAIN + 1)]:
            instance = instances.add(
                session,
                header=header(patient, study) if study < PLAIN else None,
                file_name="x",
                origin="",
                sha256=hashlib.sha256(f"{patient} {study}".encode()).hexdigest(),
                group_key=f"patient-{patient}",
                frames=[NewFrame(n, key, 8, 8, "test/1") for n in range(1, SLICES + 1 if study < PLAIN else 2)],
                labels={"side": ("left", LabelOrigin.MANIFEST)},
            )
            found |= {frame.id: (patient, patient * STUDIES + study) for frame in instance.frames}
        centres = {owner: random.normal(size=48) for owner in found.values()}
        vectors = np.array([centres[owner] + random.normal(size=48) / 10 for owner in found.values()], np.float32)
        vectors[::4] = vectors[0]
        features.add_batch(session, encoders.get(session, encoder_id), list(found), vectors)
    return found


def nearest(database: Database, query: int) -> list[int]:
    """All frames but those of the query's instance, by brute force."""
    with database.read() as session:
        ids, vectors = features.matrix(session, encoders.resolve(session, None).id)
        own = session.get_one(Frame, query).instance_id
        others = {frame_id for frame_id in ids.tolist() if session.get_one(Frame, frame_id).instance_id != own}
    distances = np.linalg.norm(vectors - vectors[ids == query], axis=1)
    return [frame_id for frame_id in ids[np.lexsort((ids, distances))].tolist() if frame_id in others]


@pytest.mark.parametrize("one_per", OnePer)
def test_it_is_the_best_of_each(
    any_database: Database, settings: Settings, owners: Owners, one_per: OnePer, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = list(owners)[SLICES + 3]
    best: dict[int, int] = {}
    for frame_id in nearest(any_database, query):
        best.setdefault(owners[frame_id][one_per is OnePer.STUDY], frame_id)
    for k, looked_at in product([1, 3, 5, 7, 1000], [1, 30, 2_000]):
        monkeypatch.setattr("cbmir.services.retrieval.one_per.LOOKED_AT", looked_at)
        answer = retrieve(any_database, settings, Question(frame_id=query, k=k, one_per=one_per))
        assert [hit.frame_id for hit in answer.hits] == list(best.values())[:k], (k, looked_at)
        assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
        assert answer.query["one_per"] == one_per


@pytest.mark.parametrize("looked_at", [1, 2_000])
def test_a_filter_holds(
    any_database: Database, settings: Settings, owners: Owners, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbmir.services.retrieval.one_per.LOOKED_AT", looked_at)
    question = Question(frame_id=next(iter(owners)), k=1000, one_per=OnePer.PATIENT, where=Where(modality="CT"))
    hits = retrieve(any_database, settings, question).hits
    assert sorted(owners[hit.frame_id][0] for hit in hits) == list(range(PATIENTS))
    assert {owners[hit.frame_id][1] % STUDIES for hit in hits} == {1}


def test_nothing_left_is_said(any_database: Database, settings: Settings, owners: Owners) -> None:
    with pytest.raises(EmptyGallery, match="filter keeps no image"):
        retrieve(
            any_database,
            settings,
            Question(frame_id=next(iter(owners)), one_per=OnePer.STUDY, where=Where(modality="OPT")),
        )
