"""A look at an archive that takes its time, while what it finds is fetched."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType

from cbmir.errors import JobCancelled
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed

STOPPING_SECONDS = 2.0
"""How long who stops a look waits for the archive's answer that it waits for; afterwards it stops by itself."""


class Looking:
    """One look, in a thread that begins and ends with the block; an error in the block stops it.

    Raises:
        as `Follower.look`, at the end of a block that ends without an error of its own.
    """

    def __init__(self, followed: Followed) -> None:
        self._follower, self._stopped = Follower(followed), Event()
        self._failed: BaseException | None = None
        self._thread = Thread(target=self._look, name="looking", daemon=True)

    def goes_on(self) -> bool:
        """Whether it may find more."""
        return self._thread.is_alive()

    @property
    def deleted(self) -> int:
        """How many images it has deleted so far."""
        return self._follower.deleted

    def __enter__(self) -> Looking:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            self._stopped.set()
            self._thread.join(STOPPING_SECONDS)
            return
        self._thread.join()
        if self._failed:
            raise self._failed

    def _look(self) -> None:
        try:
            self._follower.look(seen=self._heed)
        except BaseException as failed:  # noqa: BLE001 - it is raised at the end of the block
            self._failed = failed

    def _heed(self) -> None:
        if self._stopped.is_set():
            raise JobCancelled("Nobody waits for what it finds.")
