"""Objects whose bytes an archive keeps are fetched once more: because they were set aside, or converted of old."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cbmir.errors import NotFound
from cbmir.services.ingestion.origin import object_of, origin_of
from cbmir.store import archives, ledger
from cbmir.store.session import Database

HOW = "Workers (`cbmir up`) fetch them within seconds; without workers `cbmir archive sync NAME` does."


def ask_again(database: Database, origins: Iterable[str]) -> dict[str, NotFound]:
    """Have objects of archives fetched again by whoever follows their archive.

    Args:
        database: the installation's.
        origins: each as `origin_of` gives it.

    Returns:
        Those that cannot be had any more, each with the reason.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for name, uid in filter(None, map(object_of, origins)):
        wanted[name].append(uid)
    lost: dict[str, NotFound] = {}
    for name, uids in wanted.items():
        lost.update({origin_of(name, uid): why for uid, why in _asked(database, name, uids).items()})
    return lost


def _asked(database: Database, name: str, uids: list[str]) -> dict[str, NotFound]:
    with database.write() as session:
        archive = archives.find(session, name)
        pending = set() if archive is None else set(ledger.fetch_again(session, archive.id, uids))
    return {uid: _lost(name, uid, followed=archive is not None) for uid in uids if uid not in pending}


def _lost(name: str, uid: str, *, followed: bool) -> NotFound:
    if not followed:
        remedy = f"`cbmir archive add {name} ADDRESS` follows it again."
        return NotFound(f"{uid} came from the archive {name}, which is not followed any more.", remedy)
    return NotFound(
        f"The archive {name} does not list {uid} any more, or the rules leave it out.",
        f"`cbmir archive sync {name}` compares it as a whole.",
    )
