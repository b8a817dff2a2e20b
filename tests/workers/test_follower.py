"""A real worker follows a real Orthanc: new images are found, deleted ones are gone, and it survives bad days."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.errors import ArchiveUnavailable, NotFound
from cbmir.phantoms import archive as phantoms
from cbmir.progress import Silence
from cbmir.services.archives import status
from cbmir.services.archives.registered import add, remove
from cbmir.store import archives, jobs, tables
from cbmir.store.filters import Where
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers.follower import Patience, wake

House = Any
StartWorker = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of drawn objects with one picture each."""
    folder = tmp_path_factory.mktemp("drawn")
    phantoms.build(folder, Silence(), patients=2)
    return [folder / name for name in sorted(folder.rglob("*.dcm")) if "NumberOfFrames" not in dcmread(name)]


@pytest.fixture
def pacs(house: House, start_orthanc: Any) -> Any:
    """An Orthanc that the installation follows as soon as it has a worker."""
    server = start_orthanc()
    credentials = Credentials(server.username, server.password)
    add(house.database, house.settings, Connection("pacs", ArchiveKind.ORTHANC, server.url, credentials))
    house.add_encoder()
    return server


@pytest.fixture
def send(pacs: Any, drawn: list[Path]) -> Callable[[slice], list[str]]:
    """Sends some of the drawn objects to the Orthanc; Orthanc's ids."""
    return lambda which: [pacs.send(file.read_bytes()) for file in drawn[which]]


def test_the_trouble_of_an_archive_is_said_once_and_one_that_answers_again_is_asked_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience, trouble = Patience("pacs"), ArchiveUnavailable("It does not answer.", "See whether it runs.")
    assert [patience.pause_after(trouble) for _ in range(3)] == [1, 2, 4]
    assert caplog.messages == ["archive pacs: It does not answer. See whether it runs."]
    patience.regain()
    assert patience.pause_after(trouble) == 1
    assert len(caplog.messages) == 2


def test_new_images_get_features_and_deleted_ones_are_gone_by_themselves(
    house: House, start_worker: StartWorker, pacs: Any, send: Any
) -> None:
    first = send(slice(0, 3))
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Feature) == 3)
    send(slice(3, 5))
    house.wait_for(lambda: house.count(tables.Feature) == 5)
    pacs.delete(f"/instances/{first[0]}")
    house.wait_for(lambda: house.count(tables.Feature) == 4)
    with house.database.read() as session:
        found = status.of(session, "pacs")
        assert (found.connected, found.behind, found.held, found.deleted) == (True, 0, 4, 1)
        assert {job.kind for job in jobs.listing(session)} == {JobKind.SYNC}


def test_a_worker_killed_in_mid_sync_is_replaced_by_another(
    house: House, start_worker: StartWorker, send: Any, drawn: list[Path]
) -> None:
    send(slice(None))
    with house.database.write() as session:  # else all are here before the worker is killed
        row = archives.get(session, "pacs")
        archives.change(session, row.id, options={**row.options, "requests_per_second": 10.0})
    killed = start_worker("archive")
    house.wait_for(lambda: house.count(tables.Instance) > 1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = house.count(tables.Instance)
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Feature) == len(drawn))
    assert done < house.count(tables.Instance) == len(drawn)


def test_an_archive_that_was_down_is_caught_up_with(
    house: House,
    start_worker: StartWorker,
    start_orthanc: Any,
    pacs: Any,
    send: Any,
    drawn: list[Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    send(slice(0, 2))
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Feature) == 2)
    pacs.process.terminate()
    pacs.process.wait(30)

    def connected() -> bool | None:
        with house.database.read() as session:
            return status.of(session, "pacs").connected

    house.wait_for(lambda: connected() is False)
    with house.database.read() as session:
        said = status.of(session, "pacs").error_message
    assert said is not None
    assert said.endswith("The workers ask it again by themselves.")
    again = start_orthanc(folder=pacs.folder)
    again.send(drawn[2].read_bytes())
    house.wait_for(lambda: house.count(tables.Feature) == 3)
    house.wait_for(lambda: connected() is True)
    log = capfd.readouterr().err
    assert "the worker of role archive is ready\n" in log
    assert log.count("archive pacs answers again\n") == 1


def test_a_paused_archive_is_left_alone_and_a_removed_one_forgotten(
    house: House, start_worker: StartWorker, send: Any
) -> None:
    start_worker("archive")
    send(slice(0, 1))
    house.wait_for(lambda: house.count(tables.Feature) == 1)
    with house.database.write() as session:
        row = archives.get(session, "pacs")
        archives.change(session, row.id, paused=True)

    def followed() -> str:
        with house.database.read() as session:
            return archives.get(session, "pacs").follower

    house.wait_for(lambda: not followed())
    send(slice(1, 2))
    with house.database.write() as session:
        archives.change(session, row.id, paused=False)
    house.wait_for(lambda: house.count(tables.Feature) == 2)
    assert remove(house.database, house.settings, "pacs", delete_images=True) == 2
    assert house.count(tables.Instance) == 0


def test_a_job_whose_archive_is_removed_meanwhile_says_so(
    house: House, start_worker: StartWorker, send: Any
) -> None:
    send(slice(0, 1))
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Instance) == 1)
    remove(house.database, house.settings, "pacs", delete_images=True)  # the job waits for more meanwhile

    def ended() -> Job | None:
        with house.database.read() as session:
            (job,) = [job for job in jobs.listing(session) if job.kind == JobKind.SYNC]
            return job if job.finished_at else None

    house.wait_for(ended)
    job = ended()
    assert job is not None
    assert (job.state, job.error_code) == (JobState.FAILED, NotFound.code)
    assert job.error_message.startswith("The archive pacs was removed while it was fetched from.")


def test_what_was_received_is_recorded_and_then_removed(
    house: House, start_worker: StartWorker, drawn: list[Path]
) -> None:
    house.add_encoder()
    house.settings.received.mkdir(parents=True)
    for file in drawn[:3]:
        shutil.copy(file, house.settings.received / f"{dcmread(file).SOPInstanceUID}.dcm")
    (house.settings.received / "1.2.3.dcm").write_bytes(b"no object")
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Feature) == 3)
    house.wait_for(lambda: not [*house.settings.received.rglob("*.dcm")])
    assert house.count(tables.Quarantined) == 1
    assert len([*house.settings.set_aside.iterdir()]) == 1


def test_an_answer_is_stored_in_the_archive(
    house: House, start_worker: StartWorker, pacs: Any, send: Any, drawn: list[Path]
) -> None:
    send(slice(0, 4))
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Feature) == 4)
    for role in ("retrieve", "index"):
        start_worker(role)
    nothing = dict.fromkeys(("upload", "frame_number", "frame_id", "encoder"))
    uid = str(dcmread(drawn[0]).SOPInstanceUID)
    asked = {"sop_instance_uid": uid, "k": 3, "where": Where().as_json(), "exclude_same_patient": False}
    query = house.enqueue(JobKind.RETRIEVE, {**nothing, **asked})
    house.finish(query)
    report = house.enqueue(JobKind.REPORT, {"archive": "pacs", "query": query, "kinds": ["kos", "sr"]})
    documents = house.finish(report).result["documents"]
    there = pacs.get("/instances?expand")
    stored = {each["MainDicomTags"]["SOPInstanceUID"] for each in there}
    assert set(documents.values()) <= stored
    house.wait_for(lambda: skipped(house) == 2)


def test_an_archive_is_verified(house: House, start_worker: StartWorker, send: Any, drawn: list[Path]) -> None:
    send(slice(0, 2))
    start_worker("index")  # and no worker that follows: all is unknown here
    found = house.finish(house.enqueue(JobKind.VERIFY, {"archive": "pacs"})).result
    assert (found["listed"], found["equal"], found["kinds"]) == (2, False, {"unknown here": 2})
    named = {each["sop_instance_uid"] for each in found["differences"]}
    assert named == {str(dcmread(file).SOPInstanceUID) for file in drawn[:2]}


def skipped(house: House) -> int:
    """Objects of the archive that show nothing: what we have stored there ourselves is one of them."""
    with house.database.read() as session:
        return status.of(session, "pacs").skipped


def test_what_is_received_does_not_wait_for_the_end_of_a_long_sync(
    house: House, start_worker: StartWorker, send: Any, drawn: list[Path]
) -> None:
    received = house.settings.received / "1.2.3.dcm"

    def jobs_of(parameters: dict[str, Any]) -> list[str]:
        with house.database.read() as session:
            return [job.state for job in jobs.listing(session) if job.parameters == parameters]

    sent = len(send(slice(0, -1)))
    with house.database.write() as session:  # all together take longer than a turn
        row = archives.get(session, "pacs")
        archives.change(session, row.id, options={**row.options, "requests_per_second": sent / 25})
    start_worker("archive")
    house.wait_for(lambda: house.count(tables.Instance) > 0)
    received.parent.mkdir(parents=True)
    shutil.copy(drawn[-1], received)
    house.wait_for(lambda: "succeeded" in jobs_of({"received": True}))
    assert not received.exists()
    assert 1 < house.count(tables.Instance) <= sent
    assert "succeeded" not in jobs_of({"archive": "pacs"})
    so_far = house.count(tables.Instance)
    house.wait_for(lambda: house.count(tables.Instance) > so_far)


def test_a_job_that_fails_again_and_again_is_queued_less_and_less_often(house: House) -> None:
    asked = {"archive": "pacs"}

    def fail(seconds_ago: float) -> None:
        with house.database.write() as session:
            job = jobs.create(session, JobKind.SYNC, asked)
            job.state, job.finished_at = JobState.FAILED, tables.now() - timedelta(seconds=seconds_ago)

    def queued() -> int:
        with house.database.write() as session:
            found = jobs.listing(session, state=JobState.QUEUED)
            jobs.take_back(session, [each.id for each in found])
        return len(found)

    fail(2.0)
    wake(house.database, house.app, asked)
    assert queued() == 1, "a second has passed"
    for _ in range(9):
        fail(50.0)
    wake(house.database, house.app, asked)
    assert queued() == 0
    wake(house.database, house.app, {"archive": "another"})
    assert queued() == 1
    fail(70.0)
    wake(house.database, house.app, asked)
    assert queued() == 1
