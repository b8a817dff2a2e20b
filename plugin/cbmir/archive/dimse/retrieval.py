"""Bringing objects by C-GET (PS3.4 C.4.3) or C-MOVE (C.4.2): by series, several associations at one time."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from cbmir.archive.base import Fetched, RemoteInstance
from cbmir.archive.dimse import query
from cbmir.archive.dimse.drafts import NOT_AUTHORISED, OUT_OF_RESOURCES
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.parallel import in_parallel
from cbmir.errors import ArchiveGarbled, ArchiveRefused, CbmirError, DiskFull, NotFound, Unavailable

AT_ONCE = 64
"""Objects that one request names: few enough to be asked for again at little cost, many enough for its overhead."""


@dataclass(frozen=True)
class Batch:
    """Objects of one series that are asked for by one request."""

    instances: tuple[RemoteInstance, ...]

    @property
    def uids(self) -> list[str]:
        return [each.sop_instance_uid for each in self.instances]

    @property
    def classes(self) -> list[str]:
        """The SOP classes as far as they are known, sorted."""
        return sorted({each.sop_class_uid for each in self.instances} - {""})

    def identifier(self) -> Dataset:
        """The keys of a request for them (PS3.4 C.4.2.1.4)."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "IMAGE"
        keys.StudyInstanceUID = self.instances[0].study_instance_uid
        keys.SeriesInstanceUID = self.instances[0].series_instance_uid
        keys.SOPInstanceUID = self.uids
        return keys


@dataclass(frozen=True)
class Outcome:
    """How a request ended: the objects that the archive said it could not send, and what went wrong besides."""

    failed: frozenset[str] = frozenset()
    error: CbmirError | None = None
    fatal: CbmirError | None = None


Bring = Callable[[Batch, Path, Callable[[int], None]], Outcome]
"""Asks for a batch; its files land in the folder, and refusals of ours are told."""


def batches(instances: Sequence[RemoteInstance], classes: int) -> Iterator[Batch]:
    """Objects by series, each batch of at most `AT_ONCE` objects and of so many SOP classes."""
    groups: dict[tuple[str, str], list[RemoteInstance]] = defaultdict(list)
    for each in instances:
        groups[each.study_instance_uid, each.series_instance_uid].append(each)
    for group in groups.values():
        batch: list[RemoteInstance] = []
        for each in sorted(group, key=lambda each: each.sop_class_uid):
            if len(batch) == AT_ONCE or len({other.sop_class_uid for other in [*batch, each]}) > classes:
                yield Batch(tuple(batch))
                batch = []
            batch.append(each)
        yield Batch(tuple(batch))


def fetched(peer: Peer, work: Iterable[Batch], folder: Path, bring: Bring) -> Iterator[Fetched]:
    """What comes of the batches, as each is done; none is begun while results of as many as there are associations
    wait to be taken.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost meanwhile.
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a file cannot be written.
    """
    brought = partial(_brought, peer, folder, bring)
    with closing(in_parallel(brought, deque(work), peer.connection.parallel)) as coming:
        yield from coming


def _brought(peer: Peer, folder: Path, bring: Bring, batch: Batch) -> Iterator[Fetched]:
    """A batch's objects; an error after which nothing more should be asked for is raised behind them."""
    refusals: list[int] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as drafts:
        try:
            outcome = _asked(batch, Path(drafts), bring, refusals.append)
        except CbmirError as error:
            outcome = Outcome(fatal=error)
        fatal = outcome.fatal or _own_failure(refusals)
        came = _came(batch, Path(drafts))
        found = [Fetched(each, _moved(Path(drafts), folder, each)) for each in came]
    yield from found
    if fatal:
        raise fatal
    yield from _explained(peer, [each for each in batch.instances if each not in came], outcome)


def _asked(batch: Batch, drafts: Path, bring: Bring, refused: Callable[[int], None]) -> Outcome:
    """How a batch ends. Some archives, such as pynetdicom's qrscp, know no lists of UIDs (PS3.4 C.2.2.2.2): who
    fails at one, and gives nothing, is asked for each object alone, if he gives the first."""
    outcome = bring(batch, drafts, refused)
    if outcome.error is None or outcome.fatal or len(batch.instances) == 1 or _came(batch, drafts):
        return outcome
    for each in batch.instances:
        alone = bring(Batch((each,)), drafts, refused)
        outcome = Outcome(outcome.failed | alone.failed, alone.error or outcome.error, alone.fatal)
        if alone.fatal or not _came(batch, drafts):
            break
    return outcome


def _came(batch: Batch, drafts: Path) -> list[RemoteInstance]:
    return [each for each in batch.instances if (drafts / _name(each)).exists()]


def _name(instance: RemoteInstance) -> str:
    return f"{instance.sop_instance_uid}.dcm"


def _moved(drafts: Path, folder: Path, instance: RemoteInstance) -> Path:
    place = folder / _name(instance)
    os.replace(drafts / _name(instance), place)
    return place


def _own_failure(refusals: Sequence[int]) -> CbmirError | None:
    """What kept us from writing; None if nothing did."""
    if OUT_OF_RESOURCES in refusals:
        return DiskFull("The disk is full: objects cannot be fetched.", "Free space, then repeat.")
    if set(refusals) - {NOT_AUTHORISED}:
        return Unavailable(
            "A fetched object cannot be written.", "Check the data folder and the permissions there."
        )
    return None


def _explained(peer: Peer, missing: Sequence[RemoteInstance], outcome: Outcome) -> Iterator[Fetched]:
    """Why each did not come: the archive said so, or no longer has it, or keeps silent about it."""
    if not missing:
        return
    listed = _listed(peer, missing[0])
    for each in missing:
        uid = each.sop_instance_uid
        if uid not in listed:
            yield Fetched(each, error=NotFound(f"{peer.name} no longer has {uid}."))
        elif outcome.error is not None:
            yield Fetched(each, error=outcome.error)
        elif uid in outcome.failed:
            reason = f"{peer.name} could not send {uid}."
            yield Fetched(each, error=ArchiveRefused(reason, "Its own log says why."))
        else:
            reason = f"{peer.name} lists {uid}, but did not hand it over."
            remedy = "Try C-MOVE in place of C-GET, or the other way round."
            yield Fetched(each, error=ArchiveGarbled(reason, remedy))


def _listed(peer: Peer, example: RemoteInstance) -> frozenset[str]:
    found = query.instances(peer, example.study_instance_uid)
    return frozenset(each.sop_instance_uid for each in found)


def with_classes(peer: Peer, instances: Sequence[RemoteInstance]) -> list[RemoteInstance]:
    """The same, with the SOP classes that were not known looked up.

    Raises:
        as `query.instances`.
    """
    known: dict[str, str] = {}
    for study in dict.fromkeys(each.study_instance_uid for each in instances if not each.sop_class_uid):
        known.update((each.sop_instance_uid, each.sop_class_uid) for each in query.instances(peer, study))
    return [
        each if each.sop_class_uid else replace(each, sop_class_uid=known.get(each.sop_instance_uid, ""))
        for each in instances
    ]


def bound(bring: Callable[..., Outcome], *first: object) -> Bring:
    """`bring` with its first arguments given."""
    return partial(bring, *first)
