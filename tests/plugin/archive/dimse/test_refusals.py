"""A sender that is refused again and again does not fill the log."""

from __future__ import annotations

import pytest

from cbmir.archive.dimse import refusals
from cbmir.archive.dimse.drafts import CANNOT_UNDERSTAND, OUT_OF_RESOURCES
from cbmir.archive.dimse.refusals import Refusals


def test_each_status_is_told_at_once_and_then_with_a_count(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Refusals()
    for _ in range(1000):
        told.note(OUT_OF_RESOURCES)
    told.note(CANNOT_UNDERSTAND)
    monkeypatch.setattr(refusals, "SECONDS", 0.0)
    told._due.clear()  # a minute later
    told.note(OUT_OF_RESOURCES)
    assert caplog.messages == [
        "An object was refused with status A700H: the disk is full.",
        "An object was refused with status C000H: no valid SOP Instance UID.",
        "1000 objects were refused with status A700H: the disk is full.",
    ]
