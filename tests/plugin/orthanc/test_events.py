"""Orthanc tells what came and what was deleted: all of it, in order, whatever happens to either side."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Cbmir

Following = Callable[..., Any]
MakeStudy = Callable[..., list[bytes]]
Wait = Callable[[Callable[[], bool]], None]


def stored(ids: list[str]) -> dict[str, str]:
    return dict.fromkeys(ids, "stored")


def deleted(ids: list[str]) -> dict[str, str]:
    return dict.fromkeys(ids, "deleted")


def test_what_came_and_what_was_deleted_at_each_level(
    cbmir: Cbmir, following: Following, make_study: MakeStudy
) -> None:
    orthanc = following(cbmir, Archive="main/CT scans")
    ids = [orthanc.send(data) for data in make_study(2, ("CT", "CT", "CT"))]
    cbmir.wait_for(stored(ids))
    instance = orthanc.get(f"/instances/{ids[2]}")
    orthanc.delete(f"/instances/{ids[0]}")
    cbmir.wait_for(deleted(ids[:1]) | stored(ids[1:]))
    orthanc.delete(f"/series/{instance['ParentSeries']}")
    cbmir.wait_for(deleted(ids[:1] + ids[2:4]) | stored(ids[1:2] + ids[4:]))
    (study,) = orthanc.get("/studies")
    orthanc.delete(f"/studies/{study}")
    cbmir.wait_for(deleted(ids))
    path, headers, _ = cbmir.told[-1]
    assert path == "/api/v1/archives/main%2FCT%20scans/events"
    assert headers["X-Requested-With"] == "cbmir-orthanc"
    assert headers["Content-Type"] == "application/json"


def test_the_queue_lies_beside_the_index_of_a_new_orthanc(cbmir: Cbmir, following: Following) -> None:
    orthanc = following(cbmir, Queue="")
    cbmir.wait_for({})
    assert (orthanc.folder / "storage" / "cbmir-queue.sqlite").is_file()


def test_each_start_asks_for_a_sweep_once(cbmir: Cbmir, following: Following, make_study: MakeStudy) -> None:
    orthanc = following(cbmir)
    cbmir.wait_for({})
    for data in make_study(2):
        orthanc.send(data)
        cbmir.wait_for(stored(orthanc.get("/instances")))
    first, *others = [said.get("lost", False) for said in cbmir.events()]  # the first event may travel with it
    assert first
    assert others
    assert not any(others)


def test_of_each_instance_only_the_last_event_is_told(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait
) -> None:
    orthanc = following(cbmir)
    wait(lambda: len(cbmir.told) == 1)
    stays, goes, comes_back, is_replaced = make_study(4)
    cbmir.stop()
    ids = [orthanc.send(data) for data in (stays, goes, comes_back, is_replaced)]
    for gone in ids[1:3]:
        orthanc.delete(f"/instances/{gone}")
    orthanc.send(comes_back)
    orthanc.send(is_replaced)
    wait(lambda: orthanc.get("/cbmir/status")["queued"] == 4 and orthanc.get("/changes?last")["Done"])
    cbmir.start()
    cbmir.wait_for({**stored(ids), ids[1]: "deleted"})
    told = [each for said in cbmir.events() for each in said["stored"] + said["deleted"]]
    assert sorted(told) == sorted(ids)
    assert [each for said in cbmir.events() for each in said["stored"]] == [ids[0], ids[2], ids[3]]


def test_nothing_is_lost_while_cbmir_is_down(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait
) -> None:
    cbmir.stop()
    orthanc = following(cbmir)
    ids = [orthanc.send(data) for data in make_study(12)]
    for gone in ids[:3]:
        orthanc.delete(f"/instances/{gone}")
    wait(lambda: orthanc.get("/cbmir/status")["queued"] == 12)
    status = orthanc.get("/cbmir/status")
    assert status["in_trouble"]
    assert "does not answer" in status["last_error"]["sentence"]
    cbmir.start()
    cbmir.wait_for(deleted(ids[:3]) | stored(ids[3:]))
    wait(lambda: orthanc.get("/cbmir/status")["queued"] == 0)
    status = orthanc.get("/cbmir/status")
    assert (status["in_trouble"], status["sweep_needed"], status["last_answer"]["status"]) == (False, False, 202)


def test_the_queue_outlives_a_killed_orthanc(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait, tmp_path: Path
) -> None:
    cbmir.stop()
    orthanc = following(cbmir)
    ids = [orthanc.send(data) for data in make_study(6)]
    orthanc.delete(f"/instances/{ids[0]}")
    wait(lambda: orthanc.get("/cbmir/status")["queued"] == 6)
    orthanc.process.kill()
    orthanc.process.wait()
    cbmir.start()
    following(cbmir, folder=orthanc.folder)
    cbmir.wait_for(deleted(ids[:1]) | stored(ids[1:]))
    assert stat.S_IMODE((tmp_path / "queue.sqlite").stat().st_mode) == 0o600


def test_a_wrong_password_keeps_the_events_and_is_not_logged(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait
) -> None:
    orthanc = following(cbmir, Password="wrong-secret")
    ids = [orthanc.send(data) for data in make_study(3)]
    wait(lambda: len(cbmir.refused) >= 1)
    wait(lambda: orthanc.get("/cbmir/status")["queued"] == 3)
    status = orthanc.get("/cbmir/status")
    assert "password is wrong" in status["last_error"]["sentence"]
    assert set(cbmir.refused) == {401}
    orthanc.process.terminate()
    assert orthanc.process.wait(10) == 0
    following(cbmir, folder=orthanc.folder)
    cbmir.wait_for(stored(ids))
    log = (orthanc.folder / "log").read_text(errors="replace")
    assert "password is wrong" in log
    assert not any(secret in log + str(status) for secret in ("wrong-secret", "told-secret", "Secret^Name"))


def test_whatever_is_no_yes_is_asked_again(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait
) -> None:
    orthanc = following(cbmir)
    wait(lambda: len(cbmir.told) == 1)
    cbmir.location = f"{cbmir.url}/elsewhere"
    known: dict[str, str] = {}
    for data, answer in zip(
        make_study(3), ((500, "text/html"), (302, "text/html"), (200, "text/html")), strict=True
    ):
        cbmir.status, cbmir.content_type = answer
        id_ = orthanc.send(data)
        wait(lambda: orthanc.get("/cbmir/status")["in_trouble"])
        assert orthanc.get("/cbmir/status")["queued"] == 1
        assert f"answered {answer[0]}" in orthanc.get("/cbmir/status")["last_error"]["sentence"]
        cbmir.status, cbmir.content_type = 202, "application/json"
        known |= stored([id_])
        cbmir.wait_for(known)
        wait(lambda: not orthanc.get("/cbmir/status")["in_trouble"])
    assert {path for path, _, _ in cbmir.told} == {"/api/v1/archives/main/events"}


def test_a_queue_that_grows_too_long_becomes_a_sweep(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait
) -> None:
    orthanc = following(cbmir, QueueLimit=5)
    wait(lambda: len(cbmir.told) == 1)
    cbmir.stop()
    for data in make_study(8):
        orthanc.send(data)
    wait(lambda: orthanc.get("/cbmir/status")["sweep_needed"])
    assert orthanc.get("/cbmir/status")["queued"] < 8
    cbmir.start()
    wait(lambda: len(cbmir.told) > 1)
    assert cbmir.events()[1]["lost"] is True
    late = orthanc.send(make_study(1)[0])
    wait(lambda: cbmir.known().get(late) == "stored")
    assert "lost" not in cbmir.events()[-1]
