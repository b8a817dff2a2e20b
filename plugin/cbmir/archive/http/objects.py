"""Objects on their way to disk: several at once, whole or not there, and the ones that were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event

from cbmir.archive.base import Fetched, RemoteInstance
from cbmir.archive.http.answers import AnswerLost, RequestRefused
from cbmir.archive.http.together import Together
from cbmir.archive.identity import is_uid, sop_instance_uid
from cbmir.archive.parallel import in_parallel
from cbmir.errors import ArchiveGarbled, BrokenFile, NotFound
from cbmir.files import written_whole

TRIES = 2
"""An object whose bytes break off is asked for once more."""

LOST_IN_A_ROW = 8
"""After so many objects of which none came the archive itself counts as lost."""

TOGETHER = 8
"""Objects of a series from which on it is asked for as a whole."""

Download = Callable[[RemoteInstance], Generator[bytes, None, None]]
"""An object's bytes as they come; raises one of `cbmir.errors` where they break off."""


Group = Sequence[RemoteInstance]
"""Objects that are asked for by one request: one, or many of a series."""


def fetch(
    download: Download,
    instances: Sequence[RemoteInstance],
    folder: Path,
    parallel: int,
    together: Together | None = None,
) -> Iterator[Fetched]:
    """Bring objects as files, `parallel` at once, as they come.

    The files are not synced to disk: what a power failure takes from a spool is fetched again, and to sync each
    would take longer than to fetch it.

    Args:
        download: gives an object's bytes.
        instances: which.
        folder: where the files go.
        parallel: requests at one time.
        together: gives whole series, if the archive may be asked for them.

    Raises:
        as `cbmir.archive.base.Archive.fetch`.
    """
    course = _Course(download, folder, together)
    whole = together is not None and together.works
    groups = deque(_by_series(instances) if whole else ([each] for each in instances))
    with closing(in_parallel(partial(course.brought, groups), groups, parallel)) as coming:
        try:
            yield from coming
        finally:
            course.stop.set()


def _by_series(instances: Sequence[RemoteInstance]) -> Iterator[Group]:
    """Series of which many objects are wanted, each in one; the other objects one by one."""
    series: dict[tuple[str, str], list[RemoteInstance]] = {}
    for each in instances:
        series.setdefault((each.study_instance_uid, each.series_instance_uid), []).append(each)
    for some in series.values():
        yield from [some] if len(some) >= TOGETHER else ([each] for each in some)


class _Course:
    """What the threads of one fetching share.

    Args:
        download: gives an object's bytes.
        folder: where the files go.
        together: gives whole series.
    """

    def __init__(self, download: Download, folder: Path, together: Together | None) -> None:
        self.download, self.folder, self.stop = download, folder, Event()
        self._together, self._lost_in_a_row = together, 0

    def brought(self, groups: deque[Group], group: Group) -> Iterator[Fetched]:
        """What comes of a group; of a series what did not come by one answer joins the groups, one by one."""
        if self.stop.is_set():
            return
        if len(group) == 1:
            yield self.fetched(group[0])
            return
        left = {each.sop_instance_uid: each for each in group}
        if self._together and self._together.works:
            for uid, file in self._together.files(group[0], left, self.folder, self.heeded):
                yield Fetched(left.pop(uid), file)
        groups.extendleft([each] for each in reversed(left.values()))

    def heeded(self, pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        """The same, until somebody says stop."""
        with closing(pieces):
            for piece in pieces:
                if self.stop.is_set():
                    raise AnswerLost("Nobody waits for the object any more.")
                yield piece

    def fetched(self, instance: RemoteInstance) -> Fetched:
        """One object, or why it did not come; an error that concerns the whole archive, or our disk, is raised."""
        try:
            file = _tried(self, instance)
        except NotFound as error:
            return Fetched(instance, error=_not_given(instance, error))
        except (ArchiveGarbled, BrokenFile) as error:
            return Fetched(instance, error=error)
        except (AnswerLost, RequestRefused) as error:
            self._lost_in_a_row += 1
            if self._lost_in_a_row >= LOST_IN_A_ROW:
                raise
            return Fetched(instance, error=error)
        self._lost_in_a_row = 0
        return Fetched(instance, file)


def _not_given(instance: RemoteInstance, error: NotFound) -> NotFound:
    """The same of the object: the archive is where it was thought, since it lists it."""
    reason = f"The object {instance.sop_instance_uid} did not come: {error.reason}"
    remedy = "If it was deleted there, the next comparison takes it out here; else see the archive's own log."
    return NotFound(reason, remedy)


def _tried(course: _Course, instance: RemoteInstance) -> Path:
    if not is_uid(instance.sop_instance_uid):
        raise BrokenFile("The archive lists an object whose SOP Instance UID is none.", "Correct it there.")
    for _ in range(TRIES - 1):
        try:
            return _saved(course, instance)
        except AnswerLost:
            if course.stop.is_set():
                raise
    return _saved(course, instance)


def _saved(course: _Course, instance: RemoteInstance) -> Path:
    path = course.folder / f"{instance.sop_instance_uid}.dcm"
    with written_whole(path, durable=False) as stream, closing(course.heeded(course.download(instance))) as pieces:
        stream.writelines(pieces)
    try:
        _refuse_another(path, instance.sop_instance_uid)
    except ArchiveGarbled:
        path.unlink()
        raise
    return path


def _refuse_another(file: Path, wanted: str) -> None:
    try:
        found = sop_instance_uid(file, wanted)
    except BrokenFile as error:
        raise ArchiveGarbled(
            f"The archive sends what is no DICOM file in place of {wanted}.", error.remedy
        ) from error
    if found != wanted:
        remedy = "Correct the object there."
        raise ArchiveGarbled(f"The archive sends another object, {found}, in place of {wanted}.", remedy)
