"""Orthanc's REST API answers what cbmir finds similar, and says in JSON why it cannot."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import requests
from pydicom import dcmread

if TYPE_CHECKING:
    from conftest import Cbmir

Following = Callable[..., Any]
MakeStudy = Callable[..., list[bytes]]
PLACES = 8
"""Questions that may wait at one time."""
NOBODY = "-".join(["0123abcd"] * 5)


def ask(orthanc: Any, path: str, method: str = "GET") -> requests.Response:
    url = f"{orthanc.url}/cbmir/similar/{path}"
    return requests.request(method, url, auth=orthanc.auth, timeout=30, allow_redirects=False)


def newest_question(cbmir: Cbmir) -> dict[str, list[str]]:
    questions = [told for told in cbmir.told if told[0] == "/api/v1/query?wait=20"]  # events come when they come
    _, headers, body = questions[-1]
    assert headers["X-Requested-With"] == "cbmir-orthanc"
    return parse_qs(body.decode())


def asked_about(cbmir: Cbmir) -> str:
    """SOP Instance UID of the newest question."""
    (uid,) = newest_question(cbmir)["sop_instance_uid"]
    return uid


def uid_of(data: bytes) -> str:
    return str(dcmread(BytesIO(data)).SOPInstanceUID)


def test_an_instance_a_series_and_a_study(cbmir: Cbmir, following: Following, make_study: MakeStudy) -> None:
    cbmir.answer, cbmir.status = '{"hits": [], "words": "Größe"}'.encode(), 200
    orthanc = following(cbmir)
    made = make_study(5, ("CT", "CT", "CT", "SR", "KO"))
    ids = [orthanc.send(data) for data in random.Random(0).sample(made, len(made))]
    (study,) = orthanc.get("/studies")
    answer = ask(orthanc, f"studies/{study}?k=7")
    assert (answer.status_code, answer.json()) == (200, {"hits": [], "words": "Größe"})
    assert answer.headers["Content-Type"] == "application/json"
    assert asked_about(cbmir) == uid_of(made[7])
    assert newest_question(cbmir)["k"] == ["7"]
    assert newest_question(cbmir)["exclude_same_patient"] == ["true"]
    series = orthanc.get(f"/instances/{ids[0]}")["ParentSeries"]
    assert ask(orthanc, f"series/{series}").status_code == 200
    number = int(orthanc.get(f"/series/{series}")["MainDicomTags"]["SeriesNumber"])
    assert asked_about(cbmir) == uid_of(made[(number - 1) * 5 + 2])
    assert ask(orthanc, f"instances/{ids[0]}").status_code == 200
    assert asked_about(cbmir) == orthanc.get(f"/instances/{ids[0]}")["MainDicomTags"]["SOPInstanceUID"]


def test_cbmirs_words_are_passed_on_but_for_those_about_us(
    cbmir: Cbmir, following: Following, make_study: MakeStudy
) -> None:
    orthanc = following(cbmir)
    id_ = orthanc.send(make_study(1)[0])
    empty = {"error": {"code": "empty-gallery", "reason": "Nothing – to search in.", "remedy": ""}}
    for status, body, expected, code in (
        (409, json.dumps(empty, ensure_ascii=False).encode(), 409, "empty-gallery"),
        (401, b"no", 502, "refused"),
        (403, b"{}", 502, "refused"),
        (302, b"<html>", 502, "garbled"),
        (200, b"<html>", 502, "garbled"),
    ):
        cbmir.status, cbmir.answer, cbmir.location = status, body, f"{cbmir.url}/elsewhere" if status == 302 else ""
        answer = ask(orthanc, f"instances/{id_}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (expected, code)
        assert answer.headers["Content-Type"] == "application/json"
    cbmir.status, cbmir.answer = 202, b'{"id": "job"}'
    assert ask(orthanc, f"instances/{id_}").json() == {"id": "job"}
    cbmir.stop()
    answer = ask(orthanc, f"instances/{id_}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "unavailable")
    cbmir.start()


def test_what_is_no_question_never_reaches_cbmir(cbmir: Cbmir, following: Following, make_study: MakeStudy) -> None:
    orthanc = following(cbmir)
    id_ = orthanc.send(make_study(1)[0])
    cbmir.wait_for({id_: "stored"})
    asked = len(cbmir.told)
    assert [ask(orthanc, f"instances/{id_}?k={k}").status_code for k in ("0", "-1", "1000", "x", "")] == [422] * 5
    assert ask(orthanc, f"instances/{id_}", "POST").status_code == 405
    for path in (
        f"instances/{NOBODY}",
        f"studies/{id_}",
        f"patients/{id_}",
        f"instances/{id_.upper()}",
        f"instances/{id_}/tags",
        f"instances/{id_}%3Fshort",
        f"instances/{id_}%0A",
        "instances/..%2F..%2Fsystem",
        "instances/",
    ):
        assert ask(orthanc, path).status_code == 404, path
    assert requests.get(f"{orthanc.url}/cbmir/similar/instances/{id_}", timeout=30).status_code == 401
    assert len(cbmir.told) == asked


def test_not_all_of_orthancs_threads_wait(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Callable[..., None]
) -> None:
    orthanc = following(cbmir)
    id_ = orthanc.send(make_study(1)[0])
    cbmir.wait_for({id_: "stored"})
    cbmir.held.clear()
    with ThreadPoolExecutor(PLACES) as pool:
        asked = [pool.submit(ask, orthanc, f"instances/{id_}") for _ in range(PLACES)]
        wait(lambda: cbmir.holding == PLACES)
        assert ask(orthanc, f"instances/{id_}").status_code == 503
        cbmir.held.set()
        assert {each.result().status_code for each in asked} == {202}
