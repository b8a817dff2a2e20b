"""How an archive's status reads on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cbmir.services.archives.status import ArchiveStatus, Trouble
from cbmir.store.tables import now

SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Words:
    """The words for one archive."""

    status: ArchiveStatus

    @property
    def line(self) -> str:
        """Name, address, state and counts in one line."""
        each = self.status
        counts = (
            f"{each.behind:,} behind, {each.held:,} held, {each.skipped:,} skipped, {each.set_aside:,} set aside"
        )
        moments = f"asked {age(each.checked_at)}, changed {age(each.changed_at)}, compared {age(each.swept_at)}"
        return (
            f"{each.name}  {each.kind} {each.address}: {self.state}; {counts}, {each.deleted:,} deleted; {moments}"
        )

    @property
    def complaints(self) -> list[str]:
        """What is wrong, and what to do, in one line each."""
        each = self.status
        said = [each.error_message] if each.error_message else []
        if each.troubled:
            said.append(
                f"{each.troubled:,} of those behind could not be had; each is asked for again by itself, or at "
                f"once by `cbmir archive sync {each.name}`:"
            )
        said += [f"  {one.sop_instance_uid}: {one.error_message} Asked {_times(one)}." for one in each.troubles]
        more = each.troubled - len(each.troubles)
        return [*said, f"  and {more:,} more."] if more > 0 else said

    @property
    def state(self) -> str:
        """Connected or not, in a word or two."""
        if self.status.paused:
            return "paused"
        if self.status.connected is None:
            return "not asked yet"
        return "connected" if self.status.connected else "NOT CONNECTED"


def _times(trouble: Trouble) -> str:
    seconds = max(0, (trouble.retry_at - now()).total_seconds())
    asked = "once" if trouble.attempts == 1 else f"{trouble.attempts} times"
    return f"{asked}, again in {seconds:.0f} s"


def age(moment: datetime | None) -> str:
    """How long ago, in the largest unit."""
    if moment is None:
        return "never"
    seconds = max(0, (now() - moment).total_seconds())
    return next((f"{seconds // unit:.0f} {name} ago" for unit, name in SPANS if seconds >= unit), "just now")
