"""How an archive's status reads on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cbmir.services.archives.status import ArchiveStatus
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
    def state(self) -> str:
        """Connected or not, in a word or two."""
        if self.status.paused:
            return "paused"
        if self.status.connected is None:
            return "not asked yet"
        return "connected" if self.status.connected else "NOT CONNECTED"


def age(moment: datetime | None) -> str:
    """How long ago, in the largest unit."""
    if moment is None:
        return "never"
    seconds = max(0, (now() - moment).total_seconds())
    return next((f"{seconds // unit:.0f} {name} ago" for unit, name in SPANS if seconds >= unit), "just now")
