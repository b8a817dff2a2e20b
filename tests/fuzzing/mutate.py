"""Changes to a DICOM object that keep it one: a header element, a compressed frame, the order of its fragments."""

from __future__ import annotations

import random
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import atheris
from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.sequence import Sequence
from pydicom.uid import AllTransferSyntaxes
from seeds import written

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    12,
    15,
    16,
    17,
    20,
    24,
    31,
    32,
    64,
    127,
    128,
    255,
    256,
    4096,
    32_767,
    32_768,
    65_535,
)
DECIMALS = (
    "0",
    "1",
    "-1",
    "1e300",
    "-1e300",
    "1e-300",
    "nan",
    "inf",
    "-0",
    "0.5",
    "2147483648",
    "1\\2",
    "",
    "x",
    "1e9",
)
LONGS = (*NUMBERS, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    *("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT"),
    *("PALETTE COLOR", "HSV", "CT", "US", "ECG", "PT", "INVERSE", "IDENTITY", "LINEAR", "LINEAR_EXACT", "SIGMOID"),
    *(
        "SB",
        "UB",
        "SS",
        "US",
        "SL",
        "UL",
        "MB",
        "SV",
        "UV",
        "ORIGINAL",
        "DERIVED",
        "R",
        "G",
        "",
        "\\",
        "ISO_IR 192",
    ),
)
KEYWORDS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation", "PhotometricInterpretation", "WindowCenter", "WindowWidth", "RescaleSlope"),
    *("RescaleIntercept", "VOILUTFunction", "PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "RedPaletteColorLookupTableDescriptor", "Modality"),
    *("GreenPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "LUTDescriptor", "LUTData"),
    *(
        "SegmentedRedPaletteColorLookupTableData",
        "ExtendedOffsetTable",
        "RegionLocationMinX0",
        "RegionLocationMaxX1",
    ),
    *("NumberOfWaveformChannels", "NumberOfWaveformSamples", "SamplingFrequency", "WaveformBitsAllocated"),
    *("WaveformSampleInterpretation", "ChannelSensitivity", "ChannelBaseline", "WaveformPaddingValue"),
    *("WaveformBitsStored", "SpecificCharacterSet", "PatientID", "FloatPixelPaddingValue", "SOPClassUID"),
)
"""What the converter reads."""

JPEG_LIKE = 0xFF
MARKED = 300
"""Bytes at a frame's start among which are its headers."""


HEADERS = slice(132, 5000)
"""Bytes of a file in which most headers lie."""


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """A changed object; where the bytes are none, or one time in five, libFuzzer's own change of them."""
    chance = random.Random(seed)
    if chance.random() < 0.8:
        with suppress(Exception), _lenient():
            made = _with_slip(_changed(data, chance), chance) if chance.random() < 0.1 else _changed(data, chance)
            if len(made) <= max_size:
                return made
    return bytes(atheris.Mutate(data, max_size))


@contextmanager
def _lenient() -> Iterator[None]:
    """Let pydicom read and write any value; the converter has it as it is."""
    before = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = before


def _changed(data: bytes, chance: random.Random) -> bytes:
    dataset = dcmread(BytesIO(data), force=True)
    if not len(dataset):
        raise ValueError("no object")
    for _ in range(chance.choice((1, 1, 2, 4))):
        chance.choices(CHANGES, WEIGHTS)[0](dataset, chance)
    return written(dataset)


def _with_slip(data: bytes, chance: random.Random) -> bytes:
    """Make an element's value representation blank, or the length behind it wrong."""
    codes = [each.start() for each in re.finditer(rb"[A-Z]{2}", data[HEADERS])]
    at = HEADERS.start + chance.choice(codes)
    if chance.random() < 0.5:
        return data[:at] + chance.choice((b"  ", b"\0\0", b"??")) + data[at + 2 :]
    length = int.from_bytes(data[at + 4 : at + 8], "little") + chance.choice((-14, -8, 2, 8, 100))
    return data[: at + 4] + (length % 2**32).to_bytes(4, "little") + data[at + 8 :]


def _set_known(dataset: Dataset, chance: random.Random) -> None:
    """Give an element that the converter reads another value, where it is or at the top."""
    keyword = chance.choice(KEYWORDS)
    homes = [each for each in _datasets(dataset) if keyword in each] or [dataset]
    _set(chance.choice(homes), keyword, chance)


def _set(home: Dataset, keyword: str, chance: random.Random) -> None:
    tag = tag_for_keyword(keyword)
    if tag is not None:
        vr = dictionary_VR(tag).split(" or ")[-1]
        home[tag] = DataElement(tag, vr, _value(vr, chance), validation_mode=config.IGNORE)


def _value(vr: str, chance: random.Random) -> object:
    count = chance.choice((1, 1, 1, 2, 3, 6))
    if vr in ("US", "SS", "UL", "SL"):
        pool = {"US": NUMBERS, "SS": NUMBERS[:22], "UL": LONGS, "SL": LONGS[:-2]}[vr]
        found = [chance.choice(pool) for _ in range(count)]
        return found if count > 1 else found[0]
    if vr in ("DS", "IS"):
        return "\\".join(chance.choice(DECIMALS) for _ in range(count))
    if vr in ("FD", "FL"):
        return chance.choice((0.0, 1.0, -1.0, float("nan"), float("inf"), 1e-30, 1e30))
    if vr in ("OB", "OW", "OF", "OD", "OV", "UN"):
        return chance.randbytes(2 * chance.choice((0, 1, 2, 8, 100, 256)))
    return chance.choice(WORDS)


def _datasets(dataset: Dataset) -> list[Dataset]:
    """The dataset and all items below it."""
    found, at = [dataset], 0
    while at < len(found) < 200:
        for element in found[at]:
            if isinstance(element.value, Sequence):
                found.extend(element.value)
        at += 1
    return found


def _mutate_any(dataset: Dataset, chance: random.Random) -> None:
    """Change, delete or double any element, in any item."""
    home = chance.choice(_datasets(dataset))
    tags = list(home.keys())
    if not tags:
        return
    element = home[chance.choice(tags)]
    if chance.random() < 0.2:
        del home[element.tag]
    elif isinstance(element.value, Sequence):
        element.value.extend(list(element.value) * chance.choice((1, 2, 30)))
    elif isinstance(element.value, bytes):
        element.value = atheris.Mutate(element.value, len(element.value) + 16)
    else:
        home[element.tag] = DataElement(
            element.tag, element.VR, _value(element.VR, chance), validation_mode=config.IGNORE
        )


def _mutate_frame(dataset: Dataset, chance: random.Random) -> None:
    """Change a compressed frame, mostly where its headers are."""
    frames = _frames(dataset)
    at = chance.randrange(len(frames))
    frames[at] = chance.choice((_mark, _mark, _mark, _fuzz, _splice))(frames[at], chance)
    _put(dataset, frames, chance)


def _mark(frame: bytes, chance: random.Random) -> bytes:
    """Another value of 1, 2 or 4 bytes, mostly soon behind a marker."""
    marks = [at for at in range(min(len(frame), MARKED) - 1) if frame[at] == JPEG_LIKE and frame[at + 1] > 0x4E]
    start = chance.choice(marks) + 2 if marks and chance.random() < 0.8 else 0
    at = min(start + chance.randrange(42), max(0, len(frame) - 4))
    form = chance.choice(("B", ">H", ">L"))
    value = chance.choice(LONGS) % (1 << 8 * struct.calcsize(form))
    return frame[:at] + struct.pack(form, value) + frame[at + struct.calcsize(form) :]


def _fuzz(frame: bytes, _: random.Random) -> bytes:
    return bytes(atheris.Mutate(frame, len(frame) + 64))


def _splice(frame: bytes, chance: random.Random) -> bytes:
    """Cut the frame, double a part of it, or put bytes into it."""
    one, other = sorted((chance.randrange(len(frame) + 1), chance.randrange(len(frame) + 1)))
    piece = chance.choice(
        (b"", frame[one:other] * chance.choice((1, 2, 20)), chance.randbytes(chance.randrange(20)))
    )
    return frame[:one] + piece + frame[chance.choice((one, other)) :]


def _frames(dataset: Dataset) -> list[bytes]:
    return list(generate_fragments(dataset.PixelData))[1:]


def _put(dataset: Dataset, frames: list[bytes], chance: random.Random) -> None:
    even = [each + b"\0" * (len(each) % 2) for each in frames]
    dataset.PixelData = encapsulate(even, has_bot=chance.random() < 0.5)


def _shuffle_fragments(dataset: Dataset, chance: random.Random) -> None:
    """Double, drop or part fragments, with or without saying so."""
    frames = _frames(dataset)
    at = chance.randrange(len(frames))
    half = len(frames[at]) // 4 * 2
    options = (frames * 2, frames[:at] + frames[at + 1 :], [*frames[:at], frames[at][:half], frames[at][half:]])
    changed = list(chance.choice(options))
    _put(dataset, changed, chance)
    if chance.random() < 0.7:
        dataset.NumberOfFrames = len(changed)


def _other_syntax(dataset: Dataset, chance: random.Random) -> None:
    dataset.file_meta.TransferSyntaxUID = chance.choice(AllTransferSyntaxes)


Change = Callable[[Dataset, random.Random], None]

CHANGES: tuple[Change, ...] = (_set_known, _mutate_any, _mutate_frame, _shuffle_fragments, _other_syntax)
WEIGHTS = (6, 3, 6, 1, 0.3)
