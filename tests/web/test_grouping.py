"""Answers as people read them: by study and patient, the own patient's other studies apart, with ways out."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.store import archives, instances, jobs, ledger, queries
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance
from cbmir.types import JobKind, ObjectState, RemoteInstance
from cbmir_web.pages import grouping

Token = Callable[..., str]


def hit(rank: int, frame_id: int, study: str | None, uid: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "rank": rank, "distance": rank / 4, "frame_id": frame_id, "file_name": f"{frame_id}.dcm",
        "sop_instance_uid": uid, "series_instance_uid": study, "study_instance_uid": study, "frame_number": 1,
        "labels": {"modality": "mri"}, **more,
    }  # fmt: skip


def frame(frame_id: int, group: int, key: str) -> Frame:
    instance = Instance(group_id=group, group=Group(id=group, key=key), sha256="0" * 64, study_instance_uid="1.7")
    return Frame(id=frame_id, instance=instance)


def test_hits_of_a_study_are_folded_under_its_best() -> None:
    hits = [hit(1, 11, "1.1"), hit(2, 12, "1.2"), hit(3, 13, "1.1"), hit(4, 14, None), hit(5, 15, None)]
    folds = grouping.by_study(hits)
    assert [(fold.best["rank"], [other["rank"] for other in fold.others]) for fold in folds] == [
        (1, [3]),
        (2, []),
        (4, []),
        (5, []),
    ]
    assert [fold.best for fold in grouping.one_by_one(hits)] == hits


def test_patients_are_numbered_as_they_come_and_unknown_ones_are_not() -> None:
    keys = {11: (7, "p-seven"), 12: (3, "p-three"), 13: (7, "p-seven"), 14: (9, "study-1.7"), 15: (4, "p-own")}
    frames = {frame_id: frame(frame_id, group, key) for frame_id, (group, key) in keys.items()}
    hits = [hit(rank, frame_id, "1.7") for rank, frame_id in enumerate((15, 11, 12, 13, 14), start=1)]
    named = grouping.patients(hits, frames, {4})
    assert named == {15: "same patient", 11: "patient 1", 12: "patient 2", 13: "patient 1"}


@pytest.fixture
def answered(database: Database, archive: Any) -> Callable[..., str]:
    """A search with the first image that is over: the other three images of its study, and a plain image."""

    def answer(
        *, priors: int = 12, known: bool = True, exclude: bool = True, own: list[dict[str, Any]] | None = None
    ) -> str:
        uids = ["1.2.3.1", "1.2.3.1", "1.2.3.2", None]
        frames = archive.frames[1:]
        hits = [
            hit(rank, frame_id, "1.2.3" if uid else None, uid)
            for rank, (frame_id, uid) in enumerate(zip(frames, uids, strict=True), start=1)
        ]
        asked = {"upload": None, "frame_id": archive.frames[0], "sop_instance_uid": None, "k": 5, "priors": priors}
        result = {"query": {"patient_known": known}, "hits": hits, "priors": hits[:2] if priors and known else []}
        if own is not None:
            result |= {"query": {"patient_known": True, "study_date": "2024-03-01"}, "priors": own}
        with database.write() as session:
            more = {"where": Where().as_json(), "encoder": None, "exclude_same_patient": exclude}
            job = jobs.create(session, JobKind.RETRIEVE, {**asked, **more})
            jobs.claim(session, job.id)
            jobs.succeed(session, job.id, result)
            queries.save(
                session, job_id=job.id, encoder_id=archive.encoder, picture="0" * 64, frame_id=archive.frames[0],
                k=5, where=Where().as_json(), hits=hits,
            )  # fmt: skip
        return job.id

    return answer


def test_an_answer_is_grouped_by_study(client: FlaskClient, answered: Any) -> None:
    job_id = answered(priors=0)
    page = client.get(f"/queries/{job_id}").text
    assert "4 hits" in page
    assert page.count('<li class="hit">') == 2
    assert "and 2 more of this study" in page
    assert "in 1 study, and 1 image of none" in page
    assert 'aria-label="Search with this one: hit 1"' in page
    flat = client.get(f"/queries/{job_id}?flat=true").text
    assert flat.count('<li class="hit">') == 4
    assert "more of this study" not in flat
    assert "Prior images" not in page


def test_the_frame_that_was_compared_is_named(client: FlaskClient, answered: Any, database: Database) -> None:
    job_id = answered()
    assert "· frame" not in client.get(f"/queries/{job_id}").text.split('id="hits"')[0]
    with database.write() as session:
        job = jobs.get(session, job_id)
        job.result = {**(job.result or {}), "query": {"frame_number": 12, "patient_known": True}}
    assert "· frame 12" in client.get(f"/queries/{job_id}").text.split('id="hits"')[0]


def test_the_other_frames_of_the_object_are_a_click_away(
    client: FlaskClient, answered: Any, archive: Any, database: Database, token: Token
) -> None:
    job_id, (_, first, second, *_) = answered(), archive.frames
    assert "Search with another frame" not in client.get(f"/queries/{job_id}").text
    with database.write() as session:
        queries.get(session, job_id).frame_id = first
        instances.frame(session, first).instance.frame_count = 2
    aside = client.get(f"/queries/{job_id}").text.split('id="hits"')[0]
    assert "· frame 1 of 2" in aside
    assert f'form="ask" name="frame_id" value="{second}" aria-label="Search with the next frame, 2"' in aside
    assert "previous frame" not in aside
    client.post("/", data={"csrf_token": token(), "frame_id": second})
    with database.read() as session:
        assert jobs.listing(session)[0].parameters["frame_id"] == second


def test_of_a_file_that_is_not_in_the_archive_the_form_takes_another_frame(
    client: FlaskClient, answered: Any, database: Database, token: Token
) -> None:
    job_id = answered()
    with database.write() as session:
        queries.get(session, job_id).frame_id = None
        job = jobs.get(session, job_id)
        job.result = {**(job.result or {}), "query": {"frame_number": 6, "frame_count": 11}}
    page = client.get(f"/queries/{job_id}").text
    assert "· frame 6 of 11" in page
    (link,) = re.findall(r'<a href="([^"]+)">Search with another frame of this file', page)
    assert 'name="frame_number" type="number" min="1" value="6"' in client.get(html.unescape(link)).text
    file = (BytesIO(b"not read here"), "volume.dcm")
    client.post("/", data={"csrf_token": token(), "file": file, "frame_number": "7"})
    with database.read() as session:
        assert jobs.listing(session)[0].parameters["frame_number"] == 7


def test_a_thousand_hits_are_shown_a_hundred_at_a_time(
    client: FlaskClient, answered: Any, database: Database
) -> None:
    job_id = answered(priors=0)
    uid = f"1.2.{'3' * 56}"
    with database.write() as session:
        kept = queries.get(session, job_id)
        found = {"subclass": "viral_pneumonia", "modality": "xray"}
        kept.hits = [
            {**kept.hits[rank % 3], "rank": rank, "file_name": "series_7/IM000123.dcm", "labels": found,
             "sop_instance_uid": uid, "series_instance_uid": uid, "study_instance_uid": uid,
             "study_date": "2024-01-31"}
            for rank in range(1, 1001)
        ]  # fmt: skip
    pages = [client.get(f"/queries/{job_id}?flat=true&page={page}").text for page in (1, 2, 10, 99)]
    first, second, last, beyond = pages
    assert [page.count('<li class="hit">') for page in pages] == [100] * 4
    assert (first.count("1,000 hits"), first.count(uid)) == (1, 300)
    assert f'rel="next" href="/queries/{job_id}?flat=true&amp;page=2"' in first
    assert ('"Why hit 101?"' in second, '"Why hit 1000?"' in last, '"Why hit 1000?"' in beyond) == (True,) * 3
    assert len(first) < 180_000, "what a hit costs is written out a hundred times"


def test_the_frame_of_a_hit_stands_apart_from_a_long_name(
    client: FlaskClient, answered: Any, database: Database
) -> None:
    job_id = answered()
    with database.write() as session:
        kept = queries.get(session, job_id)
        kept.hits = [{**each, "frame_number": 7} for each in kept.hits]
    assert '<p class="whose">frame 7</p>' in client.get(f"/queries/{job_id}").text


def test_priors_have_a_section_of_their_own(client: FlaskClient, answered: Any) -> None:
    page = client.get(f"/queries/{answered()}").text
    hits, priors = page.split('id="priors"')
    assert "Prior images of this patient" in priors
    assert priors.count('<li class="hit">') == 1
    assert "and 1 more of this study" in priors
    assert "same patient" in priors
    assert "patient 2" in hits  # the first is folded under the study's best


def test_no_key_of_a_patient_is_shown(client: FlaskClient, answered: Any) -> None:
    job_id = answered()
    for path in (f"/queries/{job_id}", f"/queries/{job_id}?flat=true", f"/api/v1/jobs/{job_id}"):
        assert not re.search(r"\bp-\d", client.get(path).text), path


def test_an_unknown_patient_is_admitted(client: FlaskClient, answered: Any) -> None:
    page = client.get(f"/queries/{answered(known=False)}").text
    assert "Your image names no patient" in page
    assert "the patient is not known" in page


def test_images_that_were_deleted_since_are_left_out(
    client: FlaskClient, database: Database, answered: Any
) -> None:
    job_id = answered()
    with database.write() as session:
        gone = instances.find_by_sop_instance_uid(session, "1.2.3.1")
        assert gone
        instances.delete(session, gone)
    page = client.get(f"/queries/{job_id}").text
    assert "2 hits" in page
    assert "1.2.3.1" not in page
    assert "The archive holds none of another study" in page


def test_hits_lead_into_the_archives_viewer(client: FlaskClient, database: Database, answered: Any) -> None:
    with database.write() as session:
        options = {"viewer": "https://ohif/viewer?StudyInstanceUIDs={study}"}
        row = archives.add(
            session, name="pacs", kind="dicomweb", address="http://pacs", options=options, sealed_credentials=b""
        )
        ledger.take_in(session, row.id, [RemoteInstance("1.2.3.2", "1.2.3.0", "1.2.3")], lambda _: True)
        (found,) = ledger.pending(session, row.id, 1)
        ledger.settle(session, found.id, found.revision, ObjectState.HELD)
    job_id = answered(priors=0)
    link = "https://ohif/viewer?StudyInstanceUIDs=1.2.3"
    page = client.get(f"/queries/{job_id}?flat=true").text
    assert page.count(f'href="{link}" target="_blank" rel="noopener noreferrer"') == 1
    for result in (client.get(f"/api/v1/jobs/{job_id}").json, client.get("/api/v1/jobs").json["jobs"][0]):
        assert [each["viewer"] for each in result["result"]["hits"]] == [None, None, link, None]
    with database.write() as session:
        archives.remove(session, archives.get(session, "pacs"))
    assert link not in client.get(f"/queries/{job_id}?flat=true").text


@pytest.mark.parametrize(("ticked", "left_out"), [({}, True), ({"same_patient": "true"}, False)])
def test_the_form_leaves_the_own_patient_out_unless_it_says_otherwise(
    client: FlaskClient, token: Token, database: Database, archive: Any, ticked: dict[str, str], left_out: bool
) -> None:
    client.post("/", data={"csrf_token": token(), "frame_id": archive.frames[0], **ticked})
    with database.read() as session:
        (job,) = jobs.listing(session)
    assert job.parameters["exclude_same_patient"] is left_out
    assert job.parameters["priors"] == 12


@pytest.mark.parametrize("exclude", [True, False])
def test_the_next_search_asks_as_the_last_did(client: FlaskClient, answered: Any, exclude: bool) -> None:
    page = client.get(f"/queries/{answered(exclude=exclude)}").text
    assert ('name="same_patient" value="true"' in page) is not exclude


def test_rest_asks_for_priors_only_when_told(client: FlaskClient, database: Database, archive: Any) -> None:
    client.post("/api/v1/query", json={"frame_id": archive.frames[0]})
    client.post("/api/v1/query", json={"frame_id": archive.frames[0], "priors": 3})
    with database.read() as session:
        asked = sorted(
            (job.parameters["priors"], job.parameters["exclude_same_patient"]) for job in jobs.listing(session)
        )
    assert asked == [(0, False), (3, False)]
    assert client.post("/api/v1/query", json={"frame_id": 1, "priors": 1001}).status_code == 422


def hold(database: Database, uid: str) -> None:
    """An archive called pacs holds the object of this UID."""
    with database.write() as session:
        row = archives.add(
            session, name="pacs", kind="orthanc", address="http://pacs", options={}, sealed_credentials=b""
        )
        ledger.take_in(session, row.id, [RemoteInstance(uid, "1.2.3", "1.2.3")], lambda _: True)
        (each,) = ledger.pending(session, row.id, 2)
        ledger.settle(session, each.id, each.revision, ObjectState.HELD)


def ask_about(database: Database, job_id: str, uid: str) -> None:
    with database.write() as session:
        job = jobs.get(session, job_id)
        job.result = {**(job.result or {}), "query": {"sop_instance_uid": uid, "patient_known": True}}


def test_an_answer_about_an_archive_s_object_can_be_stored_there(
    client: FlaskClient, answered: Any, database: Database, token: Token
) -> None:
    job_id = answered()
    assert "Store this answer" not in client.get(f"/queries/{job_id}").text
    hold(database, "1.2.3.1")
    ask_about(database, job_id, "1.2.3.1")
    assert "Store this answer" in client.get(f"/queries/{job_id}").text
    form = {"csrf_token": token(f"/queries/{job_id}"), "archive": "pacs", "kinds": ["sr"]}
    response = client.post(f"/queries/{job_id}/report", data=form)
    assert response.status_code == 303
    shown = client.get(response.location).text
    assert "Store an answer in an archive" in shown
    asked = {"archive": "pacs", "query": job_id, "kinds": ["sr"]}
    with database.read() as session:
        (job,) = jobs.listing(session, kind=JobKind.REPORT)
    assert job.parameters == asked
    with database.write() as session:
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, {"documents": {"sr": "2.25.9"}, "hits": 3, "left_out": ["Hit 4: no UID."]})
    page = client.get(response.location).text
    assert all(said in page for said in ("Structured report", "2.25.9", "3 hits", "Hit 4: no UID."))


def test_an_answer_is_stored_only_as_what_is_ticked(
    client: FlaskClient, answered: Any, database: Database, token: Token
) -> None:
    job_id = answered()
    hold(database, "1.2.3.1")
    form = {"csrf_token": token(f"/queries/{job_id}"), "archive": "pacs"}
    refused = client.post(f"/queries/{job_id}/report", data=form)
    assert refused.status_code == 422
    assert "no kind of document was ticked" in refused.text
    with database.read() as session:
        assert jobs.listing(session, kind=JobKind.REPORT) == []


def test_an_answer_without_uids_is_not_offered_to_the_archive(
    client: FlaskClient, answered: Any, database: Database
) -> None:
    job_id = answered()
    hold(database, "1.2.3.1")
    ask_about(database, job_id, "1.2.3.1")
    with database.write() as session:
        kept = queries.get(session, job_id)
        kept.hits = [{**each, "sop_instance_uid": None} for each in kept.hits]
    page = client.get(f"/queries/{job_id}").text
    assert "4 hits" in page
    assert "Store this answer" not in page


def test_storing_an_answer_over_rest(client: FlaskClient, answered: Any, database: Database) -> None:
    hold(database, "1.2.3.1")
    job_id = answered()
    response = client.post("/api/v1/archives/pacs/report", json={"query": job_id})
    assert response.status_code == 202
    assert response.json["kind"] == "report"
    for path, body, status in (
        ("/api/v1/archives/none/report", {"query": job_id}, 404),
        ("/api/v1/archives/pacs/report", {"query": "none"}, 404),
        ("/api/v1/archives/pacs/report", {"query": job_id, "kinds": ["pdf"]}, 422),
        ("/api/v1/archives/pacs/report", {"query": job_id, "kinds": []}, 422),
    ):
        assert client.post(path, json=body).status_code == status, body


def test_later_studies_are_not_called_prior(client: FlaskClient, answered: Any, archive: Any) -> None:
    times = [("2023-01-05", "before"), ("2024-03-01", "same day"), ("2025-06-07", "after")]
    own = [
        hit(rank, frame_id, f"1.2.{rank}", study_date=day, when=when)
        for rank, (frame_id, (day, when)) in enumerate(zip(archive.frames[1:], times, strict=False), start=1)
    ]
    page = client.get(f"/queries/{answered(own=own)}").text
    sections = re.split(r'<section class="priors" aria-labelledby="([\w-]+)">', page)[1:]
    days = {
        name: re.findall(r"study of <time>([^<]+)<", section)
        for name, section in zip(sections[::2], sections[1::2], strict=True)
    }
    assert days == {"priors": ["2023-01-05"], "same-day": ["2024-03-01"], "later": ["2025-06-07"]}
    assert "From this patient&#39;s earlier studies" in page or "From this patient's earlier studies" in page
    assert "Later images of this patient" in page
    assert '<dt>Study date</dt><dd><time datetime="2024-03-01">' in page
    without = client.get(f"/queries/{answered(own=own[2:])}").text
    assert "The archive holds none of another earlier study" in without


def test_where_a_date_is_not_known_a_study_may_be_later(client: FlaskClient, answered: Any, archive: Any) -> None:
    page = client.get(f"/queries/{answered(own=[hit(1, archive.frames[1], '1.2', when=None)])}").text
    assert "earlier or later as far as no date is known" in page
    assert "Later images" not in page
