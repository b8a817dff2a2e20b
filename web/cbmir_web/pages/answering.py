"""An answered search as its page shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy.orm import Session

from cbmir.labels import split
from cbmir.services.archives.links import Link, places, viewer_links
from cbmir.services.retrieval import library
from cbmir.services.retrieval.subject import names_patient
from cbmir.store import frames, queries
from cbmir.store.tables import Frame, Job, Query
from cbmir_web.pages.grouping import Fold, Hit, by_study, one_by_one, patients
from cbmir_web.presenting import terms


@dataclass(frozen=True)
class Shown:
    """What an answer's page needs to know.

    Attributes:
        query: the question.
        asked: the archive's frame that was asked about, if it was one.
        hits: what was found, folded.
        priors: images of the own patient's earlier studies, and of those whose date, or whose own, is not known;
            folded; None where nobody asked for them.
        same_day, later: images of that patient's studies of the same day, and of later ones, folded.
        study_date: of the query's study, YYYY-MM-DD; empty where it is not known.
        frame_number: which frame of the query's object was compared; 1 where the answer does not say.
        frame_count: how many the object has; 1 where the answer does not say.
        frames: the archive's own of it; none where it is not there, or has one alone.
        found: how many hits there are, folded or not.
        patients: whose each is, by the frame's id.
        viewers: where the archive shows each, by SOP Instance UID.
        patient_known: None where the answer does not say.
        archives: names of those that hold the object that was asked about, and so could take the answer.
    """

    query: Query
    asked: Frame | None
    hits: list[Fold]
    priors: list[Fold] | None
    same_day: list[Fold]
    later: list[Fold]
    study_date: str
    frame_number: int
    frame_count: int
    frames: list[Frame]
    found: list[Hit]
    patients: dict[int, str]
    viewers: dict[str, Link]
    patient_known: bool | None
    archives: list[str]

    @property
    def asked_labels(self) -> dict[str, str]:
        """The labels of the image that was asked about."""
        return library.labels_of(self.asked.instance) if self.asked else {}

    @property
    def longest(self) -> float:
        """The largest distance, which the others are drawn against."""
        every = [*self.hits, *(self.priors or []), *self.same_day, *self.later]
        return max((hit["distance"] for fold in every for hit in (fold.best, *fold.others)), default=0) or 1

    @property
    def undated(self) -> bool:
        """Whether there are priors of which it is not known that they are earlier."""
        return any(fold.best.get("when") is None for fold in self.priors or [])

    @property
    def summary(self) -> list[tuple[str, int]]:
        """How many hits have each subclass (or modality, where they have none), most frequent first."""
        return counted([hit["labels"] for hit in self.found])


def counted(labels: Sequence[Mapping[str, str]]) -> list[tuple[str, int]]:
    """How many images have each subclass, or modality, or neither, most frequent first; one that has several counts
    for each."""
    values = (each.get("subclass") or each.get("modality") or "unlabelled" for each in labels)
    counts = Counter(chain.from_iterable(map(split, values)))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def shown(session: Session, job: Job, *, flat: bool) -> Shown:
    """The answer of a job that has succeeded, without images that were deleted since.

    Raises:
        cbmir.errors.NotFound: if it has no answer.
    """
    query, result = queries.get(session, job.id), job.result or {}
    kept = [*query.hits, *result.get("priors", [])]
    alive = frames.by_id(session, [*(hit["frame_id"] for hit in kept), query.frame_id or 0])
    hits, priors = _alive(query.hits, alive), _alive(result.get("priors", []), alive)
    asked = alive.get(query.frame_id or 0)
    fold = one_by_one if flat else by_study
    uids = {hit["sop_instance_uid"] for hit in (*hits, *priors)} - {None}
    return Shown(
        query=query,
        asked=asked,
        hits=fold(hits),
        priors=fold(_made(priors, None, "before")) if job.parameters.get("priors") else None,
        same_day=fold(_made(priors, "same day")),
        later=fold(_made(priors, "after")),
        study_date=result.get("query", {}).get("study_date") or "",
        frame_number=result.get("query", {}).get("frame_number") or 1,
        frame_count=asked.instance.frame_count if asked else result.get("query", {}).get("frame_count") or 1,
        frames=asked.instance.frames if asked and len(asked.instance.frames) > 1 else [],
        found=hits,
        patients=patients([*hits, *priors], alive, _own(asked, priors, alive)),
        viewers=viewer_links(session, sorted(uids)),
        patient_known=result.get("query", {}).get("patient_known"),
        archives=[place.archive for place in places(session, _uid(result))],
    )


def _uid(result: Mapping[str, Any]) -> str:
    return result.get("query", {}).get("sop_instance_uid") or ""


def again(job: Job) -> dict[str, list[str]]:
    """The fields of a form that asks the same of another image."""
    asked = job.parameters
    return {
        "k": [str(asked["k"])] if asked.get("k") else [],
        "where": terms(asked.get("where") or {}),
        "encoder": [asked["encoder"]] if asked.get("encoder") else [],
        "one_per": [asked["one_per"]] if asked.get("one_per") else [],
        "same_patient": [] if asked.get("exclude_same_patient") else ["true"],
    }


def _alive(hits: list[Hit], frames: dict[int, Frame]) -> list[Hit]:
    return [hit for hit in hits if hit["frame_id"] in frames]


def _made(priors: list[Hit], *when: str | None) -> list[Hit]:
    """Those of studies before the query's, of the same day or after it; None is: nobody knows."""
    return [hit for hit in priors if hit.get("when") in when]


def _own(asked: Frame | None, priors: list[Hit], frames: dict[int, Frame]) -> set[int]:
    own = {frames[hit["frame_id"]].instance.group_id for hit in priors}
    return own | ({asked.instance.group_id} if asked and names_patient(asked.instance) else set())
