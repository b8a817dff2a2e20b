"""Objects larger than memory should hold: read frame by frame, from disk."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

FRAMES, ROWS, COLUMNS = 10_000, 128, 128
LIMIT = 60_000_000
"""Bytes that may be held beyond what the imports take; the native object has 328 million."""

PIXEL_DATA = b"\xe0\x7f\x10\x00"
NOISE = np.random.default_rng(0).integers(0, 200, (ROWS, COLUMNS)).astype(np.uint16)

PROGRAM = """
import resource, sys
from pathlib import Path
from cbmir.services.conversion.keep import opened
from cbmir.services.conversion.convert import open_file, rendering_of
from cbmir.settings import Settings
settings = Settings(frames=sys.argv[2], max_frames=16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with opened(Path(sys.argv[1]), settings) as stream:
    file = open_file(stream, "long.dcm", settings)
    numbers = [picture.frame_number for picture in file.pictures(rendering_of(settings))]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(file.count, len(numbers), 1024 * (after - before))
"""


def until_pixels(dataset: Any, encode: Any) -> bytes:
    """The object as a file, up to its pixel data."""
    whole: bytes = encode(dataset)
    return whole[: whole.index(PIXEL_DATA)]


def long_object(make_object: Any, **elements: Any) -> Any:
    window = {"WindowCenter": 100, "WindowWidth": 200}
    return make_object(np.zeros((ROWS, COLUMNS), np.uint16), NumberOfFrames=FRAMES, **window, **elements)


def native(path: Path, make_object: Any, encode: Any) -> None:
    frame = NOISE.astype("<u2").tobytes()
    with path.open("wb") as file:
        file.write(until_pixels(long_object(make_object), encode))
        file.write(PIXEL_DATA + b"OW\0\0" + struct.pack("<L", FRAMES * len(frame)))
        for _ in range(FRAMES):
            file.write(frame)


def compressed(path: Path, make_object: Any, encode: Any) -> None:
    """JPEG-LS frames without an offset table, so that each has to be found."""
    frame = imagecodecs.jpegls_encode(NOISE)
    frame += b"\0" * (len(frame) % 2)
    dataset = long_object(make_object, PixelData=encapsulate([frame]))
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset["PixelData"].VR = "OB"
    with path.open("wb") as file:
        file.write(until_pixels(dataset, encode))
        file.write(PIXEL_DATA + b"OB\0\0\xff\xff\xff\xff" + item(b""))
        for _ in range(FRAMES):
            file.write(item(frame))
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(value)) + value


@pytest.mark.parametrize(
    ("write", "policy", "taken"),
    [(native, "spread", 16), (native, "representative", 1), (compressed, "every:2500", 4)],
)
def test_ten_thousand_frames_within_a_bound(
    tmp_path: Path, make_object: Any, encode: Any, write: Any, policy: str, taken: int
) -> None:
    path = tmp_path / "long.dcm"
    write(path, make_object, encode)
    assert path.stat().st_size > 2 * LIMIT
    program = [sys.executable, "-c", PROGRAM, path, policy]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    count, pictures, held = (int(word) for word in done.stdout.split())
    assert (count, pictures) == (FRAMES, taken)
    assert held < LIMIT
