"""What goes wrong again and again is said once, and once more when it is over."""

from __future__ import annotations

import logging

from cbmir.errors import CbmirError


class Trouble:
    """The trouble of one thing that is done again and again.

    Args:
        log: where it is said.
        what: is done, for the log.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._said = ""

    def met(self, error: Exception) -> None:
        """It failed: say why, without the error's own words, unless it failed so the last time, too."""
        kind = error.code if isinstance(error, CbmirError) else type(error).__name__
        if kind != self._said:
            self._log.warning("no %s: %s", self._what, kind)
        self._said = kind

    def over(self) -> None:
        """It went well: say so, if it did not the last time."""
        if self._said:
            self._log.info("%s goes on", self._what)
        self._said = ""
