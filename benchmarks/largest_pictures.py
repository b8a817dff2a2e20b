"""Memory and time for the largest pictures that a file of less than 10 MB can hold, each in a process of its own.

    python benchmarks/largest_pictures.py [word ...]

Prints, for each whose name holds one of the words, the file's megabytes, the peak resident megabytes of the
process that converts it, its seconds, and what came of it; ends with 1 if any took more than 1 GB or 10 s.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

SIDE = 7071
"""Rows and columns: just below the 50,000,000 pixels of `Settings.max_pixels`."""

SMALL = 10_000_000
"""Bytes of a small file."""

MOST_MEGABYTES, MOST_SECONDS = 1000, 10

Pixels = npt.NDArray[Any]

CONVERT = """
import json, resource, sys, time
from cbmir.errors import UnusableInput
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings
data = open(sys.argv[1], "rb").read()
began = time.process_time()
try:
    made = convert(data, "x.dcm", Settings(**json.loads(sys.argv[2])), "0" * 64)
    came = f"{len(made.pictures)} pictures"
except UnusableInput as error:
    came = error.reason
took = time.process_time() - began
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 * 1.024, took, came]))
"""


def measured(path: Path, **settings: Any) -> tuple[float, float, str]:
    """(peak megabytes, seconds of CPU, what came of it) of converting a file in a new process."""
    command = [sys.executable, "-c", CONVERT, str(path), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return float("nan"), float("nan"), f"ended with {done.returncode}: {done.stderr[-300:]}"
    megabytes, seconds, came = json.loads(done.stdout)
    return megabytes, seconds, came


def dataset_of(shape: tuple[int, ...], bits: int, syntax: str, **elements: Any) -> Dataset:
    """A header for pixels of this shape."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def compressed(shape: tuple[int, ...], bits: int, syntax: str, frames: list[bytes], **elements: Any) -> bytes:
    """An object around compressed frames."""
    dataset = dataset_of(shape, bits, syntax, NumberOfFrames=len(frames), **elements)
    dataset.PixelData = encapsulate([each + b"\0" * (len(each) % 2) for each in frames])
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def pattern(dtype: str, colour: bool = False, side: int = SIDE) -> Pixels:
    """Something that compresses well and uses all bits: blocks of grey."""
    rows = np.arange(side, dtype=np.uint64)[:, None] // 256
    columns = np.arange(side, dtype=np.uint64)[None, :] // 256
    top = 2 ** (8 * np.dtype(dtype).itemsize) - 1
    grey = ((rows * 31 + columns * 17) % 256 * (top // 255)).astype(dtype)
    return np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1) if colour else grey


def rle(shape: tuple[int, ...], width: int) -> bytes:
    """An RLE frame of runs, a segment for each byte of a pixel."""
    runs, rest = divmod(shape[0] * shape[1], 128)
    segment = (
        b"\x81\x47\x81\x99" * (runs // 2) + b"\x81\x07" * (runs % 2) + bytes([max(0, 257 - rest), 0]) * (rest > 1)
    )
    segment += b"\0\0" * (rest == 1)
    count = width * (3 if len(shape) == 3 else 1)
    starts = [64 + each * len(segment) for each in range(count)]
    return struct.pack("<16L", count, *starts, *[0] * (15 - count)) + segment * count


def jpeg(pixels: Pixels, progressive: bool = False) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=50, progressive=progressive)
    return stream.getvalue()


def deflated(
    shape: tuple[int, ...], bits: int, keyword: str = "PixelData", frames: int = 1, **elements: Any
) -> bytes:
    """A deflated object whose pixels are all one pattern of bytes."""
    dataset = dataset_of(shape, bits, DeflatedExplicitVRLittleEndian, NumberOfFrames=frames, **elements)
    samples = 3 if len(shape) == 3 else 1
    length = shape[0] * shape[1] * samples * max(bits, 8) // 8 * frames
    setattr(dataset, keyword, (bytes(range(1, 65)) * (length // 64 + 1))[: length + length % 2])
    if keyword == "PixelData":
        dataset["PixelData"].VR = "OW"
    return written(dataset)


PALETTE: dict[str, Any] = {
    f"{colour}PaletteColorLookupTable{what}": value
    for colour in ("Red", "Green", "Blue")
    for what, value in (("Descriptor", [256, 0, 8]), ("Data", bytes(range(256))))
}
WHOLE, RGB = (SIDE, SIDE), (SIDE, SIDE, 3)
INDEXED: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR", **PALETTE}
FULL: dict[str, Any] = {"PhotometricInterpretation": "YBR_FULL"}


def _j2k(dtype: str, colour: bool = False) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pattern(dtype, colour), codecformat="j2k", reversible=True))


def _lossless(dtype: str, colour: bool = False) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pattern(dtype, colour), lossless=True))


MADE: dict[str, Callable[[], bytes]] = {
    "rle-grey-8": lambda: compressed(WHOLE, 8, RLELossless, [rle(WHOLE, 1)]),
    "rle-grey-16": lambda: compressed(WHOLE, 16, RLELossless, [rle(WHOLE, 2)]),
    "rle-grey-12-of-16": lambda: compressed(WHOLE, 16, RLELossless, [rle(WHOLE, 2)], BitsStored=12, HighBit=11),
    "rle-grey-32": lambda: compressed(WHOLE, 32, RLELossless, [rle(WHOLE, 4)]),
    "rle-grey-20-of-32": lambda: compressed(WHOLE, 32, RLELossless, [rle(WHOLE, 4)], BitsStored=20, HighBit=19),
    "rle-grey-64": lambda: compressed(WHOLE, 64, RLELossless, [rle(WHOLE, 8)], BitsStored=60, HighBit=59),
    "rle-rgb-8": lambda: compressed(RGB, 8, RLELossless, [rle(RGB, 1)]),
    "rle-ybr-8": lambda: compressed(RGB, 8, RLELossless, [rle(RGB, 1)], **FULL),
    "rle-rgb-16": lambda: compressed(RGB, 16, RLELossless, [rle(RGB, 2)]),
    "rle-rgb-32": lambda: compressed(RGB, 32, RLELossless, [rle(RGB, 4)], BitsStored=30, HighBit=29),
    "rle-palette-8": lambda: compressed(WHOLE, 8, RLELossless, [rle(WHOLE, 1)], **INDEXED),
    "rle-palette-16": lambda: compressed(WHOLE, 16, RLELossless, [rle(WHOLE, 2)], **INDEXED),
    "rle-short": lambda: compressed(WHOLE, 8, RLELossless, [rle(WHOLE, 1)[:-20]]),
    "jpeg-grey": lambda: compressed(WHOLE, 8, JPEGBaseline8Bit, [jpeg(pattern("u1"))]),
    "jpeg-ybr": lambda: compressed(RGB, 8, JPEGBaseline8Bit, [jpeg(pattern("u1", True))], **FULL),
    "jpeg-progressive": lambda: compressed(RGB, 8, JPEGBaseline8Bit, [jpeg(pattern("u1", True), True)], **FULL),
    "jpeg-grey-12": lambda: compressed(
        WHOLE,
        16,
        JPEGExtended12Bit,
        [bytes(imagecodecs.jpeg8_encode(pattern("u2") >> 4, 50, bitspersample=12))],
        BitsStored=12,
        HighBit=11,
    ),
    "jpeg-lossless-16": lambda: compressed(WHOLE, 16, JPEGLosslessSV1, [_lossless("u2")]),
    "jpeg-lossless-rgb": lambda: compressed(RGB, 8, JPEGLosslessSV1, [_lossless("u1", True)]),
    "jpeg-ls-16": lambda: compressed(WHOLE, 16, JPEGLSLossless, [bytes(imagecodecs.jpegls_encode(pattern("u2")))]),
    "jpeg-ls-rgb": lambda: compressed(
        RGB, 8, JPEGLSLossless, [bytes(imagecodecs.jpegls_encode(pattern("u1", True)))]
    ),
    "jpeg-2000-grey-8": lambda: compressed(WHOLE, 8, JPEG2000, [_j2k("u1")]),
    "jpeg-2000-grey-16": lambda: compressed(WHOLE, 16, JPEG2000, [_j2k("u2")]),
    "jpeg-2000-padded-16": lambda: compressed(WHOLE, 16, JPEG2000, [_j2k("u2")], PixelPaddingValue=0),
    "jpeg-2000-rgb-8": lambda: compressed(RGB, 8, JPEG2000, [_j2k("u1", True)]),
    "jpeg-2000-rgb-16": lambda: compressed(RGB, 16, JPEG2000, [_j2k("u2", True)]),
    "htj2k-grey-16": lambda: compressed(WHOLE, 16, HTJ2K, [bytes(imagecodecs.htj2k_encode(pattern("u2")))]),
    "htj2k-rgb-8": lambda: compressed(RGB, 8, HTJ2K, [bytes(imagecodecs.htj2k_encode(pattern("u1", True)))]),
    "deflated-grey-8": lambda: deflated(WHOLE, 8),
    "deflated-grey-16": lambda: deflated(WHOLE, 16, BitsStored=12, HighBit=11),
    "deflated-grey-32": lambda: deflated(WHOLE, 32, BitsStored=24, HighBit=23, RescaleSlope=2),
    "deflated-grey-64": lambda: deflated(WHOLE, 64, BitsStored=60, HighBit=59),
    "deflated-rgb-8": lambda: deflated(RGB, 8),
    "deflated-ybr-8": lambda: deflated(RGB, 8, **FULL),
    "deflated-rgb-16": lambda: deflated(RGB, 16),
    "deflated-planar-16": lambda: deflated(RGB, 16, PlanarConfiguration=1),
    "deflated-palette-8": lambda: deflated(WHOLE, 8, **INDEXED),
    "deflated-palette-16": lambda: deflated(WHOLE, 16, **INDEXED),
    "deflated-float": lambda: deflated(WHOLE, 32, "FloatPixelData"),
    "deflated-double": lambda: deflated(WHOLE, 64, "DoubleFloatPixelData"),
    "deflated-many-frames": lambda: deflated((2236, 2236), 16, frames=50),
    "deflated-bits": lambda: deflated((SIDE, SIDE + 1), 8, BitsAllocated=1, BitsStored=1, HighBit=0),
}


def main() -> None:
    if sys.argv[1:2] == ["--make"]:
        Path(sys.argv[3]).write_bytes(MADE[sys.argv[2]]())
        return
    words, good = sys.argv[1:] or [""], True
    with tempfile.TemporaryDirectory(prefix="cbmir-largest-") as folder:
        for name in (each for each in MADE if any(word in each for word in words)):
            good &= _measure(name, Path(folder) / "x.dcm")
    sys.exit(0 if good else 1)


def _measure(name: str, path: Path) -> bool:
    """Print a line, which ends in ! where a bound is broken."""
    # made in another process: a process's peak counts that of the one that began it
    subprocess.run([sys.executable, __file__, "--make", name, str(path)], check=True)
    megabytes, seconds, came = measured(path)
    size = path.stat().st_size
    good = size > SMALL or (megabytes <= MOST_MEGABYTES and seconds <= MOST_SECONDS)
    print(
        f"{name:24} {size / 1e6:5.1f} MB {megabytes:6.0f} MB {seconds:5.1f} s {came[:90]}{'' if good else ' !'}",
        flush=True,
    )
    return good


if __name__ == "__main__":
    main()
