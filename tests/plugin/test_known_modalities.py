"""The codes of modalities are those of the standard, as far as pydicom has them."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from cbmir.modalities import KNOWN


@pytest.mark.parametrize("group", ["CID29", "CID32", "CID33"])
def test_every_modality_of_the_standard_is_known(group: str) -> None:
    """A newer pydicom tells of new ones (PS3.16, context groups 29, 32 and 33)."""
    collection = getattr(codes, group)
    known = {getattr(collection, name).value for name in collection.dir()}
    assert known
    assert not known - KNOWN
