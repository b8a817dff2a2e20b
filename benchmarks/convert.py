"""Conversion beside its decoder, with and without a header to read, and beside what one writes with pydicom.

    python benchmarks/convert.py [FILE.dcm] [--rounds 15] [--side 128] [--frames 1] [--large 2048]

One grey picture (FILE.dcm, else a CT slice of pydicom's own files, enlarged to 512 x 512 with noise) is stored in
each transfer syntax. The contenders take turns, so that a neighbour's load hits all alike; times are of CPU, the
best of all rounds.

The program says what they are. Of the decoders that `cbmir.dicom.codecs` has, which is without those that end the
process over damaged frames, each is the fastest. pydicom finds those too where they are installed: pylibjpeg-rle
with the extra `bench`, pylibjpeg-libjpeg and python-gdcm if you like. Machine code is loaded, as it is in a process
that has made two thousand pictures.

`--frames 100` makes multi-frame objects, in which the header is read once; figures are then frames a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut, get_decoder
from pydicom.pixels.decoders.base import Decoder
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cbmir.dicom.codecs import CODECS
from cbmir.dicom.layout import read_layout
from cbmir.dicom.read import read_object
from cbmir.pixels import passes
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

Work = Callable[[], object]
Frames = Callable[[], list[np.ndarray]]

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
CONTENDERS = {
    "ours": "bytes of an object to a picture of --side pixels: header, checks, decoder, grey scale, shrinking",
    "decoder": "the decoder alone, the compressed frame at hand; of native pixels, one copy of the frame",
    "floor": "the decoder, and a pass each of a table of greys and of area means: a picture, and no header read",
    "to array": "dcmread, without which no program has the frame, and the decoder: an array, and no more",
    "named": "the fastest of the decoders that pydicom finds here, through pydicom, the dataset at hand",
    "pydicom": "dcmread, pixel_array, apply_modality_lut, apply_voi_lut, 8 bits, Pillow's resize",
}
GOALS = (
    "native at least 1.5 times pydicom",
    "compressed at least 0.85 of a decoder, above 1 where less is decoded",
    "two processes at least 1.8 times one",
)
COLUMNS = tuple(CONTENDERS)
GREYS = np.arange(1 << 16).astype(np.uint8)
SECONDS = 0.15
"""Of CPU that each contender has in a round, at least."""


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    passes.PAID = 0  # as in a process that has converted for a while
    small = sixteen_bits(arguments.file)
    large = [enlarged(small, arguments.large)] if arguments.large else []
    result: dict[str, Any] = {}
    for name, meaning in CONTENDERS.items():
        print(f"{name:>8}: {meaning}")
    for pixels in (small, *large):
        size = f"{pixels.shape[0]} x {pixels.shape[1]}"
        print(f"\n{size} pixels, to {arguments.side} a side; objects, or frames, a second of CPU")
        print(f"{'transfer syntax':44}", *(f"{each:>8}" for each in COLUMNS), end=" | ours /")
        print(*(f"{each:>8}" for each in COLUMNS[1:]))
        for syntax in (*NATIVE, *ENCODERS):
            rates = compare(syntax, pixels, arguments)
            result[f"{syntax.name}, {size}"] = rates
            print(_line(syntax.name, rates), flush=True)
    result["two processes"] = scaling(object_of(JPEGLSLossless, small, 1), arguments.side)
    print(f"\ntwo processes: {result['two processes']:.2f} times one, by the wall clock")
    print("Goals:", "; ".join(GOALS))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time conversion beside its limit and a peer.")
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--large", type=int, default=2048, help="pixels a side of a second picture; 0 for none")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def sixteen_bits(path: Path | None) -> np.ndarray:
    """The picture, uint16: Hounsfield units above -1024, or above the lowest value."""
    if path:
        values = dcmread(path).pixel_array.astype(np.int32)
        return (values - values.min()).astype(np.uint16)
    small = dcmread(get_testdata_file("CT_small.dcm")).pixel_array
    large = np.asarray(Image.fromarray(small.astype(np.int32)).resize((512, 512), Image.Resampling.BICUBIC))
    noisy = large + np.random.default_rng(0).normal(0, 8, large.shape)
    return np.clip(noisy, 0, 4095).astype(np.uint16)


def enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture with its longer side of so many pixels, and noise of its own."""
    scale = side / max(pixels.shape)
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    smooth = np.asarray(Image.fromarray(pixels.astype(np.int32)).resize(size, Image.Resampling.BICUBIC))
    return np.clip(smooth + np.random.default_rng(1).normal(0, 4, smooth.shape), 0, 65535).astype(np.uint16)


def _eight(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(np.float32) * (255 / pixels.max())).astype(np.uint8)


def _twelve(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels, 0, 4095).astype(np.uint16)


def _rle(pixels: np.ndarray) -> bytes:
    rows, columns = pixels.shape
    how = {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "pixel_representation": 0,
    }
    bits = {"bits_allocated": 16, "bits_stored": 16, "photometric_interpretation": "MONOCHROME2"}
    return RLELosslessEncoder.encode(pixels.tobytes(), encoding_plugin="pydicom", **how, **bits)


ENCODERS: dict[Any, tuple[int, Callable[[np.ndarray], bytes]]] = {
    RLELossless: (16, _rle),
    JPEGBaseline8Bit: (8, lambda pixels: imagecodecs.jpeg8_encode(_eight(pixels), level=90)),
    JPEGExtended12Bit: (12, lambda pixels: imagecodecs.jpeg8_encode(_twelve(pixels), level=95, bitspersample=12)),
    JPEGLosslessSV1: (
        16,
        lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16),
    ),
    JPEGLSLossless: (16, imagecodecs.jpegls_encode),
    JPEGLSNearLossless: (16, lambda pixels: imagecodecs.jpegls_encode(pixels, level=3)),
    JPEG2000Lossless: (
        16,
        lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True, level=0),
    ),
    JPEG2000: (16, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", level=80)),
    HTJ2KLossless: (16, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    HTJ2K: (16, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=False, level=0.001)),
}
"""Bits stored, and how a frame is compressed, by transfer syntax."""


def object_of(syntax: Any, pixels: np.ndarray, frames: int) -> bytes:
    """A CT object of the picture, with the header of one of pydicom's files."""
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    bits = ENCODERS[syntax][0] if syntax in ENCODERS else 16
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    dataset.PixelRepresentation, dataset.NumberOfFrames = 0, frames
    if bits == 8:
        del dataset.RescaleSlope, dataset.RescaleIntercept  # a screen's picture has no Hounsfield units
    dataset.WindowCenter, dataset.WindowWidth = ("128", "256") if bits == 8 else ("40", "400")
    if "PixelPaddingValue" in dataset:
        del dataset.PixelPaddingValue
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = _pixel_data(syntax, pixels, frames)
    dataset["PixelData"].VR = "OB" if syntax in ENCODERS else "OW"
    return _written(dataset, syntax)


def _pixel_data(syntax: Any, pixels: np.ndarray, frames: int) -> bytes:
    if syntax in ENCODERS:
        return encapsulate([ENCODERS[syntax][1](pixels)] * frames)
    return pixels.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes() * frames


def _written(dataset: Dataset, syntax: Any) -> bytes:
    """The file's bytes; of a copy, since pydicom keeps what it has read in the byte order that it was read in."""
    copy = Dataset({element.tag: element for element in dataset if not element.tag.is_private})
    copy.file_meta = dataset.file_meta
    stream = BytesIO()
    order = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
    copy.save_as(stream, enforce_file_format=True, **order)
    return stream.getvalue()


def compare(syntax: Any, pixels: np.ndarray, arguments: argparse.Namespace) -> dict[str, float | None]:
    """Frames a second of each contender: the best of the rounds, since a neighbour's load only ever slows down."""
    data = object_of(syntax, pixels, arguments.frames)
    settings = Settings(picture_side=arguments.side, frames="all")
    decode = bare(data)
    contenders: dict[str, Work] = {
        "ours": lambda: convert(data, "x", settings, ""),
        "decoder": decode,
        "floor": lambda: [least(frame, arguments.side) for frame in decode()],
        "to array": lambda: (dcmread(BytesIO(data)), decode()),
        "pydicom": lambda: by_pydicom(data, arguments.side),
    }
    if not _works(contenders["pydicom"]):
        del contenders["pydicom"]
    if named := by_plugins(data):
        contenders["named"] = named
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(arguments.rounds):
        for name, work in contenders.items():
            rates[name].append(arguments.frames * rate(work))
    return {name: max(rates[name]) if name in rates else None for name in COLUMNS}


def rate(work: Work) -> float:
    """Calls a second of CPU."""
    began, calls = time.process_time(), 0
    while (spent := time.process_time() - began) < SECONDS:
        work()
        calls += 1
    return calls / spent


def bare(data: bytes) -> Frames:
    """The decoder alone, on frames that are at hand; of native pixels, one copy of each frame."""
    found = read_object(data, "x")
    layout = read_layout(found, "x", max_pixels=10**9)
    if layout.syntax in NATIVE:
        size = layout.frame_bits // 8
        starts = [at * size for at in range(layout.frames)]
        return lambda: [np.array(found.pixels.read(at, size)).view("<u2").reshape(layout.shape) for at in starts]
    from cbmir.dicom.encapsulation import find_fragments

    fragments = find_fragments(found, layout.frames, "x")
    frames = [fragments.frame(index) for index in range(layout.frames)]
    decode = CODECS[layout.syntax][0].decode
    return lambda: [decode(frame, layout) for frame in frames]


def least(frame: np.ndarray, side: int) -> np.ndarray:
    """What any picture of a decoded frame takes: a look at each pixel of more than a byte, and the means."""
    shown = passes.looked_up(GREYS, frame.view(np.uint16)) if frame.itemsize > 1 else frame
    return passes.means(shown, max(1, len(frame) // side))


def by_plugins(data: bytes) -> Work | None:
    """The fastest decoder of those that pydicom has plugins for; None if there is none, as of native pixels."""
    dataset = dcmread(BytesIO(data))
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    works = (partial(decoder.as_array, dataset, raw=True, decoding_plugin=each) for each in plugins(decoder))
    return max(filter(_works, works), key=rate, default=None)


def plugins(decoder: Decoder) -> tuple[str, ...]:
    return decoder.available_plugins if decoder.UID.is_encapsulated else ()


def by_pydicom(data: bytes, side: int) -> list[Image.Image]:
    """What one writes with pydicom and Pillow."""
    dataset = dcmread(BytesIO(data))
    frames = dataset.pixel_array
    frames = frames[None] if frames.ndim == 2 else frames
    return [_shown(frame, dataset).resize((side, side), Image.Resampling.BOX) for frame in frames]


def _shown(frame: np.ndarray, dataset: Dataset) -> Image.Image:
    values = apply_voi_lut(apply_modality_lut(frame, dataset), dataset)
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / max(high - low, 1))).astype(np.uint8))


def _works(work: Work) -> bool:
    try:
        work()
    except RuntimeError:  # none of the decoders that pydicom asks for is installed
        return False
    return True


def scaling(data: bytes, side: int) -> float:
    """How much faster two processes convert than one, by the wall clock: the best of three."""
    return max(_converted(2, data, side) / _converted(1, data, side) for _ in range(3))


def _converted(processes: int, data: bytes, side: int) -> float:
    """Objects a second of so many processes together."""
    with get_context("spawn").Pool(processes) as pool:
        pool.map(_many, [(data, side, 5)] * processes)
        began = time.perf_counter()
        pool.map(_many, [(data, side, 200)] * processes, chunksize=1)
        return processes * 200 / (time.perf_counter() - began)


def _many(task: tuple[bytes, int, int]) -> None:
    data, side, count = task
    passes.PAID = 0
    for _ in range(count):
        convert(data, "x", Settings(picture_side=side), "")


def _line(name: str, rates: dict[str, float | None]) -> str:
    ours = rates["ours"] or 0.0
    figures = [f"{rate:8.0f}" if (rate := rates[each]) else f"{'none':>8}" for each in COLUMNS]
    ratios = [f"{ours / rate:8.2f}" if (rate := rates[each]) else f"{'':8}" for each in COLUMNS[1:]]
    return f"{name[:44]:44} {' '.join(figures)}  |       {' '.join(ratios)}"


if __name__ == "__main__":
    main()
