"""What an archive is asked for, whatever it speaks: studies, their instances, and the objects' bytes.

An adapter translates every foreign error into one of `cbmir.errors`: `ArchiveUnavailable` where nobody answers,
`ArchiveRefused` where we are not let in, `ArchiveGarbled` where the answer cannot be understood, `NotFound` where
the archive no longer has what it is asked for. It neither knows the database nor looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from cbmir.errors import CbmirError
from cbmir.types import RemoteInstance, RemoteStudy

__all__ = ["Archive", "Changes", "Check", "Fetched", "Logged", "RemoteInstance", "RemoteStudy"]


@dataclass(frozen=True)
class Fetched:
    """What came of fetching one object: the file that holds its bytes, or why there is none."""

    instance: RemoteInstance
    file: Path | None = None
    error: CbmirError | None = None


@dataclass(frozen=True)
class Check:
    """One thing that `archive test` looked at: what, whether it is well, and in words; what to do if it is not."""

    what: str
    fine: bool
    said: str
    remedy: str = ""


@runtime_checkable
class Archive(Protocol):
    """An archive that answers. Safe for one thread that lists and one that fetches; it may use more of its own."""

    def test(self) -> list[Check]:
        """Reach it, log in, and find out what it can do; what fails is a check that says so, not an error."""

    def studies(self, since: str = "", until: str = "") -> Iterator[RemoteStudy]:
        """All studies, each once, of these Study Dates (YYYYMMDD, both included; empty is open).

        Raises:
            cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: also in the
                middle of the list, which then is not whole.
        """

    def instances(self, study_instance_uid: str) -> Iterator[RemoteInstance]:
        """All objects of a study, each once; none where the archive does not know the study.

        Raises:
            as `studies`.
        """

    def fetch(self, instances: Sequence[RemoteInstance], folder: Path) -> Iterator[Fetched]:
        """Bring objects, as they come, as whole files (PS3.10) in `folder`, named by SOP Instance UID and `.dcm`.

        Each is yielded once. What the archive does not give is yielded with its error (`NotFound` where it no
        longer has it); a file that is yielded is whole.

        Raises:
            cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused: if the archive is lost meanwhile.
            cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a file cannot be written.
        """

    def store(self, files: Sequence[Path]) -> None:
        """Send objects to the archive (STOW-RS, C-STORE).

        Raises:
            cbmir.errors.ArchiveRefused: if it does not take one of them; the reason says why.
            cbmir.errors.ArchiveUnavailable: if it does not answer.
        """

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True)
class Changes:
    """A piece of an archive's own log.

    Attributes:
        instances: the archive's ids (`RemoteInstance.remote_id`) of objects that are new or were replaced.
        cursor: where the next piece begins.
        done: whether the log ends here.
    """

    instances: tuple[str, ...]
    cursor: str
    done: bool


@runtime_checkable
class Logged(Protocol):
    """An archive that keeps a log of what came, and counts what it has. It need not log deletions."""

    def changes(self, cursor: str) -> Changes:
        """The log from `cursor` on; an empty cursor is its end, so that who begins lists first and follows then.

        Raises:
            as `Archive.studies`.
        """

    def described(self, remote_ids: Sequence[str]) -> Iterator[RemoteInstance]:
        """These objects, as far as the archive still has them.

        Raises:
            as `Archive.studies`.
        """

    def count(self) -> int:
        """How many objects the archive has, at little cost.

        Raises:
            as `Archive.studies`.
        """
