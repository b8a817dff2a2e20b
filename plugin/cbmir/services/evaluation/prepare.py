"""Who asks and who is searched: frames, labels and the split, for one encoder or for two that are compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, EmptyGallery
from cbmir.evaluation.labels import LabelSets
from cbmir.services.evaluation.trial import Side, Trial
from cbmir.services.retrieval.scope import nothing_extracted
from cbmir.store import encoders, features, frames, tables
from cbmir.training import splits
from cbmir.types import Part
from cbmir.words import counted


@dataclass(frozen=True)
class _Split:
    """Groups that ask, groups that are not searched (those that ask among them), and where that comes from."""

    asked: Collection[int]
    kept_out: Collection[int]
    made: str


def prepare(session: Session, encoder: tables.Encoder, label: str, seed: int = 0) -> Trial:
    """The encoder's test part against the rest of the library; `seed` splits where the encoder brought no split.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label.
        cbmir.errors.EmptyGallery: if features are missing, or one side has no labelled image.
    """
    everything, names = _load(session, encoder, label)
    test = _own(session, encoder)
    made = "The test part of the encoder's own split, none of whose groups it was trained on."
    split = _Split(test, test, made) if test is not None else _made_up(session, everything, names, seed)
    return _arranged(everything, names, split, label)


def pair(
    session: Session, encoder: tables.Encoder, other: tables.Encoder, label: str, seed: int = 0
) -> tuple[Trial, Trial]:
    """The same trial for two encoders: the same queries and gallery, each with its own features.

    Only frames with features of both take part. Groups ask that neither encoder was trained on; a group that is in
    the test part of one alone neither asks nor is searched.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label, or both encoders are one.
        cbmir.errors.EmptyGallery: if features are missing, no group is in the test part of both, or one side has no
            labelled image.
    """
    if encoder.id == other.id:
        raise BadRequest(f"The encoder {encoder.id} cannot be compared with itself.", "Name another one.")
    ours, names = _load(session, encoder, label)
    theirs, _ = _load(session, other, label)
    ours = ours.where(np.isin(ours.frame_ids, theirs.frame_ids))
    if len(ours) == 0:
        raise EmptyGallery("No image has features of both encoders.", "Run `cbmir extract` for each of them.")
    trial = _arranged(ours, names, _common(session, encoder, other, ours, names, seed), label)
    return trial, replace(trial, queries=_with(trial.queries, theirs), gallery=_with(trial.gallery, theirs))


def _with(side: Side, features_of: Side) -> Side:
    """The same frames with the vectors that they have there."""
    return replace(side, vectors=features_of.vectors[np.searchsorted(features_of.frame_ids, side.frame_ids)])


def _load(session: Session, encoder: tables.Encoder, label: str) -> tuple[Side, list[str]]:
    labelled = frames.labelled(session, encoder.id, label)
    names = sorted({value for value in labelled.values if value is not None})
    if len(labelled.frame_ids) == 0:
        raise nothing_extracted(session, encoder.id)
    if not names:
        raise BadRequest(f"No image has a label {label!r}.", "Name another label, or ingest with a manifest.")
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([-1 if value is None else numbers[value] for value in labelled.values], np.int64)
    frame_ids, vectors = features.matrix(session, encoder.id)
    both, here, there = np.intersect1d(labelled.frame_ids, frame_ids, assume_unique=True, return_indices=True)
    return Side(both, codes[here], labelled.group_ids[here], vectors[there]), names


def _own(session: Session, encoder: tables.Encoder) -> Collection[int] | None:
    """The test part of the encoder's own split; None where it brought none."""
    parts = encoders.parts(session, encoder.id)
    return _tested(parts) if parts else None


def _tested(parts: Mapping[int, Part]) -> list[int]:
    return [group for group, part in parts.items() if part is Part.TEST]


def _common(
    session: Session, encoder: tables.Encoder, other: tables.Encoder, both: Side, names: list[str], seed: int
) -> _Split:
    own = [test for test in (_own(session, encoder), _own(session, other)) if test is not None]
    if not own:
        return _made_up(session, both, names, seed)
    asked = set.intersection(*map(set, own))
    if not asked:
        raise EmptyGallery(
            f"No group (patient) is in the test part of both {encoder.id} and {other.id}.",
            "Train both on the same images with the same seed: their splits are then the same.",
        )
    made = "The test part of the only one of both encoders that brought a split."
    if len(own) == 2:
        made = "The groups in the test parts of both encoders; those in one of them alone took no part."
    return _Split(asked, set.union(*map(set, own)), made)


def _made_up(session: Session, everything: Side, names: list[str], seed: int) -> _Split:
    keys = frames.group_keys(session)
    pairs = zip(everything.groups.tolist(), everything.codes.tolist(), strict=True)
    strata = splits.strata((keys[group], names[code]) for group, code in pairs if code >= 0)
    if len(strata) < splits.FEWEST_GROUPS:
        few = counted(len(strata), "group (patient) has", "groups (patients) have")
        raise EmptyGallery(
            f"Only {few} labelled images: too few to evaluate.",
            "Ingest labelled images of more patients.",
        )
    parts = splits.assign(strata, seed)
    test = _tested({group: parts[key] for group, key in keys.items() if key in parts})
    return _Split(
        test, test, f"No encoder brought a split: groups were split for this evaluation, with seed {seed}."
    )


def _arranged(everything: Side, names: list[str], split: _Split, label: str) -> Trial:
    in_test, kept_out = (np.isin(everything.groups, list(groups)) for groups in (split.asked, split.kept_out))
    has_label, sets = everything.codes >= 0, LabelSets.of(names)
    gallery, asked = everything.where(has_label & ~kept_out), everything.where(has_label & in_test)
    answerable = sets.relevant(asked.codes, gallery.codes) > 0
    trial = Trial(
        names=names,
        sets=sets,
        queries=asked.where(answerable),
        gallery=gallery,
        unanswerable=asked.where(~answerable),
        unlabelled=(int((~has_label & in_test).sum()), int((~has_label & ~kept_out).sum())),
        split=split.made,
    )
    _check(trial, label)
    return trial


def _check(trial: Trial, label: str) -> None:
    if len(trial.gallery) == 0:
        raise EmptyGallery(
            f"No group (patient) outside the test part has an image labelled with {label}.",
            "Ingest labelled images of more patients.",
        )
    if len(trial.queries) == 0:
        why = "shares its label with another group's" if len(trial.unanswerable) else f"is labelled with {label}"
        raise EmptyGallery(
            f"No image of the encoder's test groups {why}: there is nothing to ask.",
            "Label more images, or train anew: the test part is then drawn from what is labelled.",
        )
