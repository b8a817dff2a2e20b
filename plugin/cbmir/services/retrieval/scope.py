"""Where a question is searched: what its filter keeps, less what is its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.index.base import Ranking
from cbmir.services.retrieval import narrowing, priors
from cbmir.services.retrieval.gallery import Gallery
from cbmir.services.retrieval.subject import Subject
from cbmir.store import archives, frames
from cbmir.store.filters import Where
from cbmir.types import FloatArray, IdArray


@dataclass(frozen=True)
class Scope:
    """The part of a gallery that one question is searched in.

    Attributes:
        allowed: int64, ascending: the frames that the filter keeps; None for all.
        left_out: frames of those that are the query's own.
        size: how many frames are searched.
        outdated: how many of those have features of pictures that an earlier conversion made.
        where: the filter.
    """

    gallery: Gallery
    allowed: IdArray | None
    left_out: set[int]
    size: int
    outdated: int
    where: Where

    def search(self, feature: FloatArray, k: int, among: IdArray | None = None) -> Ranking:
        """The k nearest frames to a feature, float32 (d,); or those among what `without` left."""
        # the own ones are few: to find as many more and drop them is exact, and cheaper than one more filter
        index = self.gallery.filtered_by(self.where) if among is None else self.gallery.index
        allowed = self.allowed if among is None else among
        found = index.search(feature[np.newaxis], k + len(self.left_out), allowed)[0]
        return [(frame_id, distance) for frame_id, distance in found if frame_id not in self.left_out][:k]

    def without(self, frame_ids: IdArray, among: IdArray | None = None) -> IdArray:
        """What the filter keeps, or what was left of that before, without some frames: int64, ascending."""
        kept = self.allowed if among is None else among
        return np.setdiff1d(self.gallery.frame_ids if kept is None else kept, frame_ids, assume_unique=True)

    def of_own_patient(self, session: Session, subject: Subject, feature: FloatArray, k: int) -> Ranking:
        """The k nearest frames among those of the patient's other studies that the filter keeps, with a share for
        the earlier ones, those of the same day, and the later ones.

        None where the patient is not known: what stands for it is the query's own study, or its file alone.
        """
        if k == 0 or not subject.patient_known:
            return []
        study = subject.described["study_instance_uid"]
        others = frames.ids_of_groups(session, subject.groups, without_study=study)
        wanted = sorted(self.gallery.held(others, self.allowed) - subject.own_frames)
        dates, kinds = frames.study_dates_of(session, wanted), defaultdict[str | None, list[int]](list)
        for frame_id in wanted:
            kinds[priors.when(subject.study_date, dates.get(frame_id))].append(frame_id)
        search = self.gallery.index.search
        rankings = [search(feature[np.newaxis], k, np.array(ids, np.int64))[0] for ids in kinds.values()]
        return priors.shared(rankings, k)


def scoped(session: Session, gallery: Gallery, subject: Subject, where: Where, exclude_same_patient: bool) -> Scope:
    """The frames that `where` keeps, without the subject's instance and, if wished, without its patient.

    Raises:
        cbmir.errors.EmptyGallery: if there are no features, or none that `where` keeps; it says what to do.
        cbmir.errors.NotFound: if `where` names an archive that there is not.
    """
    if len(gallery.index) == 0:
        raise nothing_extracted(session, gallery.encoder_id)
    archives.refuse_unknown(session, where)
    allowed = None if where == Where() else narrowing.kept(session, gallery.terms, where)
    if allowed is not None and len(allowed) == 0:
        raise narrowing.nothing_kept(gallery.terms, where)
    own = set(subject.own_frames)
    if exclude_same_patient:
        own.update(frames.ids_of_groups(session, subject.groups))
    left_out = gallery.held(own, allowed)
    size = (len(gallery.index) if allowed is None else len(allowed)) - len(left_out)
    return Scope(gallery, allowed, left_out, size, _outdated(gallery, allowed, left_out), where)


def _outdated(gallery: Gallery, allowed: IdArray | None, left_out: set[int]) -> int:
    if not len(gallery.outdated):
        return 0
    old = gallery.outdated if allowed is None else np.intersect1d(gallery.outdated, allowed, assume_unique=True)
    return len(old) - len(gallery.held(left_out, old))


def nothing_extracted(session: Session, encoder_id: str) -> EmptyGallery:
    """The error for an encoder without features: it says what is missing, images or the extraction."""
    if not frames.any_stored(session):
        return frames.none_stored()
    return EmptyGallery(
        f"No image has a feature of the encoder {encoder_id} yet.", f"Run `cbmir extract --encoder {encoder_id}`."
    )


def only_its_own(exclude_same_patient: bool) -> EmptyGallery:
    """The error for a scope without a frame: all there are were left out."""
    if exclude_same_patient:
        return EmptyGallery(
            "All images searched are of the query's own patient.",
            "Ingest more, loosen the filter, or allow the same patient.",
        )
    return EmptyGallery("All images searched are the query's own object.", "Ingest more, or loosen the filter.")
