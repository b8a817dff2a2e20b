"""How a long service tells how far it is, and learns that it should stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """Given to every long service: a bar on a terminal, a job row in the database, or nothing."""

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Report `done` of `total` steps; cheap enough to be called for each of them.

        Args:
            done: steps finished so far.
            total: steps in all; 0 while that is not known.
            message: what is being done, in a few words, without a patient's identity.
            detail: figures worth showing while the job runs, such as the loss of each epoch so far.

        Raises:
            cbmir.errors.JobCancelled: if somebody asked the job to stop.
        """


class Silence:
    """Progress for those who do not look."""

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Do nothing."""
