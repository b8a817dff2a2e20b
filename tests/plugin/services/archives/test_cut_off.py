"""A sweep that is cut off, and what it had found by then."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from cbmir.errors import ArchiveUnavailable
from cbmir.progress import Silence
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.services.archives.verify import verify


def test_what_a_sweep_that_was_cut_off_found_to_be_gone_is_deleted_by_the_next(
    archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    ids = [pacs.send(make_object(seed, patient=seed // 2)) for seed in range(6)]
    follow()
    follow()
    for each in ids[::2]:  # one of two of each of three studies
        pacs.delete(f"/instances/{each}")
    studies = count(1)

    def lose_it_at_the_third_study() -> None:
        if next(studies) == 3:
            raise ArchiveUnavailable("The archive does not answer.")

    with pytest.raises(ArchiveUnavailable):
        sweep(archive, seen=lose_it_at_the_third_study)
    follow()
    assert verify(archive, Silence()).differences == []
