"""The own patient's other studies, beside the hits of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbmir.errors import BadRequest, EmptyGallery
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.retrieval import priors
from cbmir.services.retrieval.retrieve import Answer, Question, retrieve
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.filters import Where
from cbmir.store.session import Database

Make = Callable[..., bytes]
Ask = Callable[..., Answer]

STUDIES = {"a": 3, "b": 2, "c": 2}
DATES = {"a": "20240301", "b": "20230105", "c": "20240302", "y": "20200101"}
"""Objects of each study of Ann; Bob has one study of two objects, `z` is of nobody."""


def uid(name: str) -> str:
    """A UID that a readable name stands for: `a.1` is the first object of Ann's study a."""
    return "1.2.826.0.1." + ".".join(str(ord(part)) if part.isalpha() else part for part in name.split("."))


@pytest.fixture
def ask(
    any_database: Database, settings: Settings, tmp_path: Path, make_dicom: Make, add_network: Callable[..., str]
) -> Ask:
    """Asks an archive of two patients and a stranger."""
    folder = tmp_path / "files"
    folder.mkdir()
    objects = [(study, n, "ann") for study, count in STUDIES.items() for n in range(1, count + 1)]
    for seed, (study, n, patient) in enumerate([*objects, ("y", 1, "bob"), ("y", 2, "bob"), ("z", 1, "")]):
        about = {"SOPInstanceUID": uid(f"{study}.{n}"), "StudyInstanceUID": uid(study), "PatientID": patient}
        about |= {"StudyDate": DATES[study]} if study in DATES else {}
        (folder / f"{study}{n}").write_bytes(make_dicom(seed, **about, Modality="CT" if study == "c" else "MR"))
    ingest(any_database, settings, [folder], None, Silence())
    extract(any_database, settings, add_network(any_database), Silence())
    return lambda **question: retrieve(any_database, settings, Question(**question))


def uids(hits: Any) -> list[str]:
    return [hit.sop_instance_uid for hit in hits]


def nearest(database: Database, asked: str, among: list[str]) -> list[str]:
    """These objects by the distance of their features from that of one, measured one by one."""
    with database.read() as session:
        encoder = encoders.resolve(session, None).id
        frame = {each: instances.frames_of(session, each)[0].id for each in [asked, *among]}
        vectors = {each: features.vector(session, encoder, frame[each]) for each in frame}
    return sorted(among, key=lambda each: float(np.linalg.norm(vectors[each] - vectors[asked])))


def test_priors_are_the_own_patients_other_studies_nearest_first(ask: Ask, any_database: Database) -> None:
    answer = ask(sop_instance_uid=uid("a.1"), k=100, exclude_same_patient=True, priors=100)
    others = [uid("b.1"), uid("b.2"), uid("c.1"), uid("c.2")]
    assert uids(answer.priors) == nearest(any_database, uid("a.1"), others)
    assert set(uids(answer.hits)) == {uid("y.1"), uid("y.2"), uid("z.1")}
    assert [hit.rank for hit in answer.priors] == [1, 2, 3, 4]
    assert [hit["frame_id"] for hit in answer.as_json()["priors"]] == [hit.frame_id for hit in answer.priors]


def test_as_many_priors_as_asked_for_and_none_by_default(ask: Ask) -> None:
    every = uids(ask(sop_instance_uid=uid("b.1"), priors=100).priors)
    assert uids(ask(sop_instance_uid=uid("b.1"), priors=2).priors) == every[:2], "all are later"
    assert ask(sop_instance_uid=uid("a.1")).priors == []
    with pytest.raises(BadRequest, match="-1"):
        ask(sop_instance_uid=uid("a.1"), priors=-1)


def test_the_filter_holds_for_priors_too(ask: Ask) -> None:
    answer = ask(sop_instance_uid=uid("a.1"), priors=100, where=Where(modality="CT"))
    assert set(uids(answer.priors)) == {uid("c.1"), uid("c.2")}


def test_a_file_of_a_known_patient_has_priors(ask: Ask, make_dicom: Make) -> None:
    new = make_dicom(77, SOPInstanceUID=uid("n.1"), StudyInstanceUID=uid("n"), PatientID="ann")
    answer = ask(data=new, name="new", exclude_same_patient=True, k=100, priors=100)
    assert len(answer.priors) == sum(STUDIES.values())
    assert set(uids(answer.hits)).isdisjoint(uids(answer.priors))


def test_an_unknown_patient_has_no_priors(ask: Ask) -> None:
    answer = ask(sop_instance_uid=uid("z.1"), priors=100)
    assert (answer.priors, answer.query["patient_known"]) == ([], False)


def test_priors_alone_are_an_answer_but_nothing_at_all_is_none(ask: Ask) -> None:
    only_own = {"sop_instance_uid": uid("a.1"), "where": Where(modality="CT"), "exclude_same_patient": True}
    answer = ask(**only_own, priors=5)
    assert (answer.hits, len(answer.priors)) == ([], 2)
    with pytest.raises(EmptyGallery, match="own patient"):
        ask(**only_own)


def when(answer: Answer) -> dict[str, set[Any]]:
    """What is said of the patient's other studies."""
    told: dict[str, set[Any]] = {}
    for prior in answer.as_json()["priors"]:
        told.setdefault(prior["study_instance_uid"], set()).add((prior["when"], prior["study_date"]))
    return told


def test_other_studies_are_earlier_or_later_by_their_dates(ask: Ask, make_dicom: Make) -> None:
    answer = ask(sop_instance_uid=uid("a.1"), priors=100)
    assert answer.as_json()["query"]["study_date"] == "2024-03-01"
    assert when(answer) == {uid("b"): {("before", "2023-01-05")}, uid("c"): {("after", "2024-03-02")}}
    same = {"SOPInstanceUID": uid("n.1"), "StudyInstanceUID": uid("n"), "PatientID": "ann"}
    new = ask(data=make_dicom(77, **same, StudyDate="20240301"), name="new", priors=100)
    assert when(new)[uid("a")] == {("same day", "2024-03-01")}
    undated = ask(data=make_dicom(78, **same), name="new", priors=100)
    assert undated.as_json()["query"]["study_date"] is None
    assert {told for each in when(undated).values() for told, _ in each} == {None}


def test_earlier_and_later_studies_have_a_share_each(ask: Ask, any_database: Database) -> None:
    asked = uid("a.1")
    earlier = nearest(any_database, asked, [uid("b.1"), uid("b.2")])
    later = nearest(any_database, asked, [uid("c.1"), uid("c.2")])
    two = uids(ask(sop_instance_uid=asked, priors=2).priors)
    assert two == nearest(any_database, asked, [earlier[0], later[0]])
    third = nearest(any_database, asked, [earlier[1], later[1]])[0]
    three = uids(ask(sop_instance_uid=asked, priors=3).priors)
    assert three == nearest(any_database, asked, [*two, third]), "what is over goes to the most alike"


def test_no_kind_of_prior_loses_its_share_to_another() -> None:
    earlier, same_day, later = [(1, 9.0)], [(2, 5.0), (3, 6.0)], [(n, n / 100) for n in range(10, 20)]
    rankings = [earlier, same_day, later]
    assert priors.shared(rankings, 6) == [*later[:3], *same_day, *earlier]
    assert priors.shared(rankings, 2) == later[:2], "there is no room for all kinds"
    assert priors.shared(rankings, 100) == [*later, *same_day, *earlier]
    assert priors.shared([], 5) == []


def test_a_filter_by_date_holds_for_hits_and_priors(ask: Ask) -> None:
    answer = ask(sop_instance_uid=uid("a.1"), k=100, priors=100, where=Where.parse(["study_date<2024-03-02"]))
    assert set(when(answer)) == {uid("b")}
    assert {hit.study_instance_uid for hit in answer.hits} == {uid("a"), uid("b"), uid("y")}, "z has no date"
    assert {str(hit.study_date) for hit in answer.hits} == {"2024-03-01", "2023-01-05", "2020-01-01"}
