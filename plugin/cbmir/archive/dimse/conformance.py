"""The tables of the DICOM Conformance Statement (PS3.2), from what the code proposes and accepts.

    python -m cbmir.archive.dimse.conformance docs/conformance.md

writes each table between its marks, `<!-- table: NAME -->` and `<!-- end -->`, anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from cbmir.archive.connection import Connection
from cbmir.archive.dimse import answers, checks, commitment, drafts, getting, moving, network, peer, query, receiver
from cbmir.archive.dimse.reception import Reception

MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """The statement with its tables as they should be."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", text)


def _table(head: str, rows: Iterable[Iterable[object]]) -> str:
    lines = [head.split(", "), ["---"] * len(head.split(", ")), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _named(uids: Iterable[UID]) -> list[tuple[str, str]]:
    return [(uid.name, f"`{uid}`") for uid in uids]


def _proposed() -> str:
    """What is proposed in plain transfer syntaxes, as SCU."""
    plain = ", ".join(uid.name for uid in network.PLAIN)
    uids = (Verification, query.MODEL, getting.MODEL, moving.MODEL)
    return _table("SOP class, UID, transfer syntaxes, role", ((*each, plain, "SCU") for each in _named(uids)))


def _accepted() -> str:
    """What is accepted beside storage."""
    plain = ", ".join(uid.name for uid in network.PLAIN)
    uids = receiver.services(Reception(Path(), keep=True))
    when = {StorageCommitmentPushModel: "with `--keep`"}
    rows = ((uid.name, f"`{uid}`", plain, "SCP", when.get(uid, "always")) for uid in uids)
    return _table("SOP class, UID, transfer syntaxes, role, offered", rows)


def _syntaxes() -> str:
    return _table("transfer syntax, UID", _named(network.TRANSFER_SYNTAXES))


def _storage() -> str:
    uids = (UID(each.abstract_syntax or "") for each in AllStoragePresentationContexts)
    return _table("SOP class, UID", _named(uids))


def _statuses() -> str:
    """What a C-STORE is answered with."""
    rows = [(f"{drafts.SUCCESS:04X}", "the object is in the folder, whole")]
    rows += [(f"{status:04X}", words) for status, words in sorted(answers.WORDS.items())]
    return _table("status, meaning", rows)


def _reasons() -> str:
    """Why an object is not promised."""
    rows = (
        (f"{commitment.NO_SUCH_OBJECT:04X}", "no such object instance: its bytes are not, or no longer, kept"),
        (f"{commitment.CLASS_CONFLICT:04X}", "class-instance conflict: it is kept, but of another SOP class"),
    )
    return _table("failure reason, meaning", rows)


def _limits() -> str:
    """What associations are negotiated with."""
    defaults = {each.name: each.default for each in fields(Reception)}
    asking = {each.name: each.default for each in fields(Connection)}
    rows = (
        ("Implementation Class UID", f"`{network.IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", "`CBMIR_` and the version"),
        ("Application Context Name", "`1.2.840.10008.3.1.1.1`"),
        ("maximum PDU that is received", f"{network.MAX_PDU:,} bytes"),
        ("presentation contexts of one request", f"at most {peer.MAX_CONTEXTS}"),
        ("associations at one time, accepted", defaults["max_associations"]),
        ("associations at one time, requested", asking["parallel"]),
        ("silence after which an association that was accepted is aborted", f"{defaults['idle_seconds']:.0f} s"),
        ("time-out of every answer that is waited for", f"{asking['timeout_seconds']:.0f} s"),
        ("asynchronous operations", "not negotiated"),
    )
    return _table("parameter, value", rows)


def _checked() -> str:
    rows = ((name, ", ".join(uid.name for uid in uids)) for name, uids in checks.SERVICES.items())
    return _table("service, SOP classes of which one must be accepted", rows)


TABLES: dict[str, Callable[[], str]] = {
    "proposed": _proposed,
    "accepted": _accepted,
    "transfer-syntaxes": _syntaxes,
    "storage-classes": _storage,
    "statuses": _statuses,
    "reasons": _reasons,
    "limits": _limits,
    "checked": _checked,
}


def main(paths: list[str]) -> None:
    """Write the tables of each page anew."""
    for path in map(Path, paths):
        path.write_text(page(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
