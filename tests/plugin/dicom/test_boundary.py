"""Mistakes of our own code are not called the file's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset

from cbmir.dicom.boundary import translated
from cbmir.dicom.header import describe
from cbmir.errors import BrokenFile, Unforeseen


def test_a_mistake_of_ours_is_told_by_its_place() -> None:
    with pytest.raises(
        Unforeseen, match=r"a\.dcm.*: cbmir failed at it \(\w+Error at dicom/\w+\.py:\d+\)"
    ) as caught:
        describe(None, "a.dcm")  # type: ignore[arg-type]
    assert "Report" in caught.value.remedy


def _foreign() -> None:
    raise KeyError("DOE^JANE")


@pytest.mark.parametrize("fail", [_foreign, lambda: Dataset().Rows, lambda: int("DOE")])
def test_what_foreign_code_raises_is_the_file_s_fault(fail: Callable[[], Any]) -> None:
    with pytest.raises(BrokenFile) as caught, translated("a.dcm"):
        fail()
    assert "DOE" not in caught.value.sentence
