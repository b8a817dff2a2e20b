"""Progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Bar:
    """A `cbmir.progress.Progress` that is drawn on standard error if that is a terminal, and silent if not."""

    def __init__(self, title: str) -> None:
        self._bar = tqdm(desc=title, disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=True)

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Draw the bar anew; see `cbmir.progress.Progress.update`."""
        if self._bar.disable:
            return
        self._bar.total = total or None
        if message:
            self._bar.set_postfix_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
