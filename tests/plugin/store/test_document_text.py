"""The text of a feature reads back to the same float32, whoever reads it."""

from __future__ import annotations

import json

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cbmir.store import document_text
from cbmir.types import FloatArray


@given(
    st_numpy.arrays(
        np.float32,
        (3, 5),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True),
    )
)
def test_any_float32_survives_the_text(vectors: FloatArray) -> None:
    numbers = document_text.numbers_to_write(vectors.astype("<f4").tobytes(), 5)
    read = json.loads(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY))
    assert np.array(read, np.float64).astype(np.float32).tobytes() == vectors.tobytes()
