"""A demonstration step by step: each tells what came out and checks it; the first that fails ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import click

from cbmir.cli.context import Context
from cbmir.progress import Progress


@dataclass
class Outcome:
    """What a step has to say, and what went wrong in it."""

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note a failure if the condition does not hold."""
        if not holds:
            self.failures.append(otherwise)


def walk(context: Context, steps: Mapping[str, Callable[[Progress], Outcome]]) -> bool:
    """Take steps by their titles and tell of each; what one of them finds wrong ends it, and is told.

    Returns:
        Whether all went well.
    """
    started = time.monotonic()
    for number, (title, take) in enumerate(steps.items(), 1):
        click.secho(f"{number}/{len(steps)}  {title}", bold=True)
        begun = time.monotonic()
        with context.progress(title) as progress:
            outcome = take(progress)
        for line in outcome.lines:
            click.echo(f"     {line}")
        click.secho(f"     {time.monotonic() - begun:.1f} s", dim=True)
        if outcome.failures:
            _complain(outcome.failures)
            return False
    click.secho(f"All of it works: {time.monotonic() - started:.0f} s.", fg="green", bold=True)
    return True


def _complain(failures: list[str]) -> None:
    for failure in failures:
        click.secho(f"cbmir: the demo failed: {failure}.", err=True, fg="red")
