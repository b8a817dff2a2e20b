"""Which groups ask: none that an encoder was trained on, as far as that is on record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.services.ingestion.identity import FILE_GROUP
from cbmir.services.training import lineage
from cbmir.services.training.lineage import Seen
from cbmir.store import encoders, frames, tables
from cbmir.training import splits
from cbmir.types import Part
from cbmir.words import counted

TRAIN_ANEW = "Train anew: a training keeps to the parts of the encoder that it starts from."


@dataclass(frozen=True)
class Split:
    """Groups that ask, groups that are not searched (those that ask among them), and where that comes from."""

    asked: Collection[int]
    kept_out: Collection[int]
    made: str


@dataclass(frozen=True)
class _Party:
    """An encoder that takes part, what it has seen, and the test part of its own split; None if it brought none."""

    id: str
    seen: Seen
    test: set[int] | None

    @classmethod
    def of(cls, session: Session, encoder: tables.Encoder) -> _Party:
        own = encoders.parts(session, encoder.id)
        return cls(encoder.id, lineage.of(session, encoder), _tested(own) if own else None)


def of(session: Session, asked: Sequence[tables.Encoder], labels: Iterable[tuple[int, str]], seed: int) -> Split:
    """Who asks one encoder, or each of two.

    Args:
        session: one that reads.
        asked: the encoders.
        labels: group (row id) and label of every labelled frame.
        seed: of the split, where no encoder brought one.

    Raises:
        cbmir.errors.EmptyGallery: if there are too few groups, or none that no encoder was trained on.
    """
    labels = list(labels)
    parties = [_Party.of(session, encoder) for encoder in asked]
    brought = [party for party in parties if party.test is not None]
    found = _brought(parties, brought) if brought else _made_up(session, parties, labels, seed)
    return replace(found, made=found.made + _untold(session, {group for group, _ in labels}))


def _untold(session: Session, groups: Collection[int]) -> str:
    """A warning of groups that are single files, since nothing tells whose they are."""
    keys = frames.group_keys(session)
    alone = sum(keys[group].startswith(FILE_GROUP) for group in groups)
    if not alone:
        return ""
    each = counted(alone, "group is a single file", "groups are single files")
    return (
        f" {each} whose patient nothing tells: images of one patient may ask and be searched. A manifest's column "
        "`group` keeps them together."
    )


def _brought(parties: list[_Party], brought: list[_Party]) -> Split:
    common = set.intersection(*(party.test or set() for party in brought))
    if len(brought) == 2 and not common:
        raise EmptyGallery(
            f"No group (patient) is in the test part of both {' and '.join(party.id for party in brought)}.",
            "Train both on the same images with the same seed: their splits are then the same.",
        )
    trained_on = _trained_on(parties) & common
    if common and common == trained_on:
        raise EmptyGallery(
            f"All {len(common):,} groups (patients) of the test part were trained on before: by an encoder that "
            "this one started from, or by the one that it is compared with.",
            TRAIN_ANEW,
        )
    asked = common - trained_on
    of_one = [_tested(party.seen.parts) for party in parties] if len(parties) > 1 else []
    return Split(asked, asked.union(*of_one), _said(parties, brought) + _left_out(len(trained_on)))


def _said(parties: list[_Party], brought: list[_Party]) -> str:
    if len(parties) == 1:
        who = "it, or an encoder that it came from," if parties[0].seen.inherited else "it"
        return f"The test part of the encoder's own split, none of whose groups {who} was trained on."
    if len(brought) == 2:
        return "The groups in the test parts of both encoders; those in one of them alone took no part."
    return "The test part of the only one of both encoders that brought a split." + _unrecorded(parties)


def _left_out(groups: int) -> str:
    if not groups:
        return ""
    asking = counted(groups, "group of it asks", "groups of it ask")
    return f" {asking} nothing, as an encoder was trained on that before."


def _made_up(session: Session, parties: list[_Party], labels: Iterable[tuple[int, str]], seed: int) -> Split:
    keys = frames.group_keys(session)
    strata = splits.strata((keys[group], label) for group, label in labels)
    if len(strata) < splits.FEWEST_GROUPS:
        few = counted(len(strata), "group (patient) has", "groups (patients) have")
        raise EmptyGallery(
            f"Only {few} labelled images: too few to evaluate.",
            "Ingest labelled images of more patients.",
        )
    seen = lineage.strongest(*(party.seen.parts for party in parties))
    parts = splits.assign(strata, seed, {keys[group]: part for group, part in seen.items()})
    test = _tested({group: parts[key] for group, key in keys.items() if key in parts})
    if not test:
        raise EmptyGallery(
            f"An encoder was trained on all {len(strata):,} groups (patients) that have labelled images.",
            "Ingest labelled images of other patients.",
        )
    known = {group: part for group, part in seen.items() if keys[group] in strata}
    made = f"No encoder brought a split: groups were split for this evaluation, with seed {seed}."
    return Split(test, test, made + _recognised(parties, known) + _unrecorded(parties))


def _recognised(parties: list[_Party], known: Mapping[int, Part]) -> str:
    if not any(party.seen.recorded for party in parties):
        return ""
    who, whose = ("it", "the encoder's") if len(parties) == 1 else ("either", "an encoder's")
    tested = len(_tested(known))
    if not known:
        return f" None holds a picture that {who} was trained on."
    holding = counted(len(known), "group holds", "groups hold")
    return (
        f" {holding} pictures of {whose} training. Those of its training and validation part ask nothing "
        f"({len(known) - tested:,}); those of its test part ask ({tested:,})."
    )


def _unrecorded(parties: list[_Party]) -> str:
    return "".join(
        f" What {each.id} was trained on is not on record." for each in parties if not each.seen.recorded
    )


def _trained_on(parties: list[_Party]) -> set[int]:
    """Groups that one of them was trained on, or chosen by."""
    return {group for each in parties for group, part in each.seen.parts.items() if part is not Part.TEST}


def _tested(parts: Mapping[int, Part]) -> set[int]:
    return {group for group, part in parts.items() if part is Part.TEST}
