"""Where no index can be written the answers are right all the same, and what is there stays."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING

import pytest

from cbmir.errors import DiskFull, Unavailable
from cbmir.services.retrieval import gallery
from cbmir.services.retrieval.indexes import index_files

if TYPE_CHECKING:
    from conftest import Archive


def test_a_full_disk_costs_no_answer_and_leaves_the_old_file(archive: Archive) -> None:
    ids = archive.add(*range(1, 400))
    index_files.rebuild(archive.database, archive.settings)
    whole = archive.path.read_bytes()
    taken = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(DiskFull):
            index_files.rebuild(archive.database, archive.settings)
        assert archive.path.read_bytes() == whole
        archive.path.unlink()
        assert archive.search(gallery.Galleries()) == ids[:3]
        assert not archive.path.exists()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, taken)
    assert {path.suffix for path in archive.path.parent.iterdir()} == {".lock", ".terms"}, "no draft is left"


def test_a_folder_that_cannot_be_written_costs_no_answer(archive: Archive) -> None:
    ids = archive.add(*range(1, 400))
    lock = index_files.lock_path(archive.settings, "net")
    lock.mkdir(parents=True)  # which nobody can open to write, not even root
    assert archive.search(gallery.Galleries()) == ids[:3]
    with pytest.raises(Unavailable, match="cannot be written"):
        index_files.rebuild(archive.database, archive.settings)
