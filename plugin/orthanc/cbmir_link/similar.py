# SPDX-License-Identifier: AGPL-3.0-or-later
"""Asking cbmir, from Orthanc's REST API, what is similar to an instance, a series or a study."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlencode

from cbmir_link.client import Answer, Client, NoAnswer

ORTHANC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
WAIT_SECONDS = 20
"""How long cbmir may search before it answers with a job instead."""
TIMEOUT_SECONDS = 30.0
AT_ONCE = 8
"""Requests that may wait for cbmir at one time: Orthanc has 50 threads for all who ask it."""
WITHOUT_PICTURES = frozenset(
    {"SR", "KO", "PR", "DOC", "PLAN", "REG", "RTSTRUCT", "RTPLAN", "RTRECORD", "AU", "SMR"}
)
"""Modalities (PS3.3, C.7.3.1.1.1) that stand for no series where the study has others."""

Reply = tuple[int, Any]
"""HTTP status, and what goes out as JSON."""


def problem(status: int, code: str, reason: str, remedy: str = "") -> Reply:
    """An answer in the shape of cbmir's own errors."""
    return status, {"error": {"code": code, "reason": reason, "remedy": remedy}}


class Similar:
    """Safe for several threads.

    Args:
        client: reaches cbmir.
        get: gives the JSON at a path of Orthanc's REST API; raises LookupError if there is none.
    """

    def __init__(self, client: Client, get: Callable[[str], Any]) -> None:
        self._client = client
        self._get = get
        self._places = BoundedSemaphore(AT_ONCE)

    def to(self, level: str, orthanc_id: str, k: str) -> Reply:
        """What cbmir answers about the instance, or the middle one of the series or study: of other patients."""
        if level not in FINDERS or not ORTHANC_ID.fullmatch(orthanc_id):
            return problem(404, "not-found", "There is no such address.", "Give one of Orthanc's ids.")
        if not re.fullmatch(r"[1-9][0-9]{0,2}", k):
            return problem(422, "bad-request", "k must be a whole number from 1 to 999.")
        try:
            sop_instance_uid = FINDERS[level](self._get, orthanc_id)
        except LookupError:
            return problem(404, "not-found", "Orthanc has no such resource.", "It may have been deleted meanwhile.")
        return self._asked({"sop_instance_uid": sop_instance_uid, "k": k, "exclude_same_patient": "true"})

    def _asked(self, question: dict[str, str]) -> Reply:
        if not self._places.acquire(blocking=False):
            return problem(503, "busy", "Too many wait for cbmir already.", "Try again in a moment.")
        body, kind = urlencode(question).encode(), "application/x-www-form-urlencoded"
        try:
            return _passed_on(self._client.post(f"/api/v1/query?wait={WAIT_SECONDS}", body, kind, TIMEOUT_SECONDS))
        except NoAnswer as error:
            return problem(502, "unavailable", str(error), "Look whether cbmir runs.")
        finally:
            self._places.release()


def _passed_on(answer: Answer) -> Reply:
    """cbmir's own words, but for those which concern us and not who asked."""
    if answer.status in (401, 403):
        return problem(
            502, "refused", "cbmir does not let Orthanc in.", "Correct Cbmir.Username and Cbmir.Password."
        )
    try:
        return answer.status, json.loads(answer.body)
    except ValueError:
        return problem(502, "garbled", f"cbmir answered {answer.status} without JSON.", "Correct Cbmir.Url.")


def of_instance(get: Callable[[str], Any], orthanc_id: str) -> str:
    """Its SOP Instance UID."""
    return str(get(f"/instances/{orthanc_id}")["MainDicomTags"]["SOPInstanceUID"])


def of_series(get: Callable[[str], Any], orthanc_id: str) -> str:
    """SOP Instance UID of the one in the middle by Instance Number."""
    instances = sorted(get(f"/series/{orthanc_id}/instances"), key=_by("InstanceNumber"))
    return str(_middle(instances)["MainDicomTags"]["SOPInstanceUID"])


def of_study(get: Callable[[str], Any], orthanc_id: str) -> str:
    """That of the series in the middle by Series Number, of those with pictures if there are any."""
    series = sorted(get(f"/studies/{orthanc_id}/series"), key=_by("SeriesNumber"))
    pictures = [each for each in series if each["MainDicomTags"].get("Modality") not in WITHOUT_PICTURES]
    return of_series(get, _middle(pictures or series)["ID"])


FINDERS: dict[str, Callable[[Callable[[str], Any], str], str]] = {
    "instances": of_instance,
    "series": of_series,
    "studies": of_study,
}


def _middle(found: list[Any]) -> Any:
    return found[len(found) // 2]


def _by(tag: str) -> Callable[[Any], tuple[int, str]]:
    """Sorts by a number that may be missing or nonsense; those come first."""

    def key(resource: Any) -> tuple[int, str]:
        text = str(resource["MainDicomTags"].get(tag, "")).strip()
        return (int(text) if re.fullmatch(r"[+-]?[0-9]{1,12}", text) else -1, resource["ID"])

    return key
