"""Progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import click
from tqdm import tqdm


class Bar:
    """A `cbmir.progress.Progress` on standard error: drawn if that is a terminal; if not, as in a log, a training
    tells of each epoch, and all else is silent."""

    def __init__(self, title: str) -> None:
        self._bar = tqdm(desc=title, disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=True)
        self._told = 0

    def update(self, done: int, total: int, message: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Draw the bar anew; see `cbmir.progress.Progress.update`."""
        if self._bar.disable:
            self._tell((detail or {}).get("history", []))
            return
        self._bar.total = total or None
        if message:
            self._bar.set_postfix_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def _tell(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Print the epochs that were not told of yet, those before an interruption among them."""
        for row in history[self._told :]:
            losses = f"training {row['train_loss']:.5f}, validation {row['validation_loss']:.5f}"
            click.echo(f"epoch {row['epoch']}: loss of {losses}; {row['seconds']:.0f} s", err=True)
        self._told = max(self._told, len(history))

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
