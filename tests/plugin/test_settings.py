"""What the settings say of a value that they cannot use."""

from __future__ import annotations

import pytest

from cbmir.errors import BadRequest
from cbmir.settings import Settings


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("CBMIR_PORT", "high", "CBMIR_PORT must be a whole number, not 'high'."),
        ("CBMIR_HEARTBEAT_SECONDS", "soon", "CBMIR_HEARTBEAT_SECONDS must be a number, not 'soon'."),
    ],
)
def test_a_value_of_another_kind_is_refused_in_words(variable: str, text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        Settings.from_environment({variable: text})
