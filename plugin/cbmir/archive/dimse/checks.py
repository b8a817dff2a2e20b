"""What `cbmir archive test` finds out about a DIMSE archive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from cbmir.archive.base import Check
from cbmir.archive.connection import Retrieval
from cbmir.archive.dimse import getting, moving, query, trying
from cbmir.archive.dimse.network import PLAIN
from cbmir.archive.dimse.peer import Peer
from cbmir.archive.dimse.receiver import Receiver
from cbmir.errors import CbmirError

SERVICES = {
    "C-FIND": (query.MODEL,),
    "C-GET": (getting.MODEL,),
    "C-MOVE": (moving.MODEL,),
    "C-STORE": (CTImageStorage, SecondaryCaptureImageStorage),
}
"""What is asked for, and the classes of which one must be accepted."""


def checks(peer: Peer) -> list[Check]:
    """Reach it, echo, and see what it accepts, and whether we may retrieve; with C-MOVE, also whether we can
    listen."""
    services = [Verification, *(each for classes in SERVICES.values() for each in classes)]
    try:
        with peer.associated([build_context(each, list(PLAIN)) for each in services]) as association:
            found = [Check("association", True, f"{peer.name} lets {peer.connection.calling_aet} in.")]
            found.append(_echo(association))
            found.extend(_offered(peer, association))
    except CbmirError as error:
        return [Check("association", False, error.reason, error.remedy)]
    if all(each.fine for each in found):
        found = [_used(peer, each) if each.what == _way(peer) else each for each in found]
        found.append(_counts(peer))
    if peer.connection.retrieve is Retrieval.MOVE:
        found.append(_listening(peer))
    return found


def _echo(association: Association) -> Check:
    if Verification not in _accepted(association):
        return Check("C-ECHO", False, "Not accepted.", "Have Verification allowed there.")
    status = association.send_c_echo()
    fine = getattr(status, "Status", None) == 0
    return Check("C-ECHO", fine, "Answered." if fine else "Not answered.", "" if fine else "Its own log says more.")


def _offered(peer: Peer, association: Association) -> Iterator[Check]:
    needed = {"C-FIND", _way(peer)}
    for name, classes in SERVICES.items():
        offered = not _accepted(association).isdisjoint(classes)
        fine = offered or name not in needed
        said = "Accepted." if offered else "Not accepted." if name in needed else "Not accepted; not needed."
        remedy = f"Have {name} allowed for {peer.connection.calling_aet} there, or retrieve the other way."
        yield Check(name, fine, said, "" if fine else remedy)


def _way(peer: Peer) -> str:
    return "C-MOVE" if peer.connection.retrieve is Retrieval.MOVE else "C-GET"


def _used(peer: Peer, accepted: Check) -> Check:
    """Whether what was accepted is also answered."""
    try:
        trying.retrieve(peer)
    except CbmirError as error:
        return Check(accepted.what, False, f"Accepted, but not answered: {error.reason}", error.remedy)
    return replace(accepted, said="Accepted, and answered.")


def _accepted(association: Association) -> set[object]:
    return {each.abstract_syntax for each in association.accepted_contexts}


def _counts(peer: Peer) -> Check:
    """Whether a study comes with how many objects it has: by that a change within it is seen."""
    try:
        study = query.any_study(peer)
    except CbmirError as error:
        return Check("counts", False, error.reason, error.remedy)
    if study is None:
        return Check("counts", True, "Unknown: it lists no study yet.")
    if study.instances is not None:
        return Check("counts", True, "It says how many objects each study has.")
    said = "It does not say how many objects a study has: those of known studies are listed in every sweep."
    return Check("counts", True, said)


def _listening(peer: Peer) -> Check:
    """Whether our own receiver can listen; whether the archive knows it shows the first C-MOVE."""
    connection = peer.connection
    try:
        with tempfile.TemporaryDirectory() as folder, Receiver(moving.reception(connection, Path(folder))):
            said = f"{connection.move_aet} listens on port {connection.move_port} while a C-MOVE runs."
            return Check("receiver", True, said)
    except CbmirError as error:
        return Check("receiver", False, error.reason, error.remedy)
