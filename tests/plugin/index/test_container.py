"""Arrays in one file: their checksum is the CRC-32 that every file so far was written with."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from cbmir.index import container
from cbmir.index.container import Kind

KIND = Kind("kind", 1, "file", "Write it anew.")


def test_the_checksum_is_that_of_all_arrays_one_after_the_other(tmp_path: Path) -> None:
    arrays = {"some": np.arange(1000.0), "none": np.empty((0, 3)), "others": np.arange(5, dtype=np.int16)}
    container.write(tmp_path / "file", KIND, {}, arrays)
    found = container.read(tmp_path / "file", KIND)
    assert found.header["crc"] == f"{zlib.crc32(b''.join(array.tobytes() for array in arrays.values())):08x}"
    assert {name: array.tolist() for name, array in found.arrays().items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


@pytest.mark.parametrize("place", [0, 999, 8000])
def test_one_changed_bit_in_an_array_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "file"
    container.write(path, KIND, {}, {"some": np.arange(1001.0)})
    start = container.read(path, KIND).start
    content = bytearray(path.read_bytes())
    content[start + place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="changed arrays"):
        container.read(path, KIND).arrays()
