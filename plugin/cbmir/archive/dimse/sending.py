"""C-STORE as SCU (PS3.4 B): objects are sent as they are, each in its own transfer syntax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from cbmir.archive.dimse.peer import MAX_CONTEXTS, Peer
from cbmir.errors import ArchiveRefused, BrokenFile

WORDS = {**GENERAL_STATUS, **STORAGE_SERVICE_CLASS_STATUS}
Syntax = tuple[UID, UID]
"""SOP class and transfer syntax."""


def store(peer: Peer, files: Sequence[Path]) -> None:
    """Send files.

    Raises:
        cbmir.errors.BrokenFile: if one is no DICOM file; nothing was sent then.
        cbmir.errors.ArchiveRefused: if the archive does not take one of them.
        cbmir.errors.ArchiveUnavailable: if it does not answer.
    """
    for group in _groups({file: _syntax(file) for file in files}):
        contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in dict.fromkeys(group.values())]
        with peer.associated(contexts) as association:
            for file, syntax in group.items():
                _send(peer, association, file, syntax)


def _groups(syntaxes: dict[Path, Syntax]) -> Iterator[dict[Path, Syntax]]:
    """Files whose kinds fit one association."""
    kinds = list(dict.fromkeys(syntaxes.values()))
    for first in range(0, len(kinds), MAX_CONTEXTS):
        chosen = set(kinds[first : first + MAX_CONTEXTS])
        yield {file: syntax for file, syntax in syntaxes.items() if syntax in chosen}


def _syntax(file: Path) -> Syntax:
    try:
        meta = pydicom.filereader.read_file_meta_info(file)
        return meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
    except (OSError, InvalidDicomError, AttributeError) as error:
        raise BrokenFile(
            f"{file.name} is no DICOM file with meta information: {error}.", "Write it anew, as PS3.10 says."
        ) from error


def _send(peer: Peer, association: Association, file: Path, syntax: Syntax) -> None:
    if syntax not in {(each.abstract_syntax, each.transfer_syntax[0]) for each in association.accepted_contexts}:
        raise ArchiveRefused(
            f"{peer.name} does not take {syntax[0].name} in {syntax[1].name}.", "Have it allowed there."
        )
    if not association.is_established:
        raise peer.lost("while objects were sent to it")
    status = association.send_c_store(file)
    if "Status" not in status:
        raise peer.lost("while objects were sent to it")
    if status.Status and status.Status >> 12 != 0xB:  # a warning means that it is stored
        raise peer.failure(status, "to store an object", WORDS)
