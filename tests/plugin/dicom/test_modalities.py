"""Objects as mammography, dental X-ray, fluoroscopy, PET and the cameras write them, each beside the standard's own
formulas, computed here anew, and beside dcmtk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, Sequence, uid
from pydicom.encaps import encapsulate

from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings
from cbmir.types import ConvertedObject

Numbers = npt.NDArray[Any]

ROWS, COLUMNS = 96, 128


@dataclass(frozen=True)
class Variant:
    """An object as some device writes it.

    Attributes:
        pixels: (frames, rows, columns) or (frames, rows, columns, 3), as stored.
        grey: a frame's stored values and its index to 0 to 255, as the standard says; None where they are colours.
        elements: beside those that the pixels explain.
        said: what one of the steps must begin with.
        padding: stored values that are no picture: black here, drawn by dcmtk.
        dcmtk: how it is asked for the same; None where it does not know how.
        sampling: of the chrominance of a JPEG, as Pillow calls it; empty for uncompressed pixels.
    """

    sop_class: str
    modality: str
    pixels: Numbers
    grey: Callable[[Numbers, int], Numbers] | None = None
    elements: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    padding: tuple[int, ...] = ()
    dcmtk: tuple[str, ...] | None = ()
    sampling: str = ""


def linear(x: Numbers, center: float, width: float) -> Numbers:
    """PS3.3 C.11.2.1.2.1."""
    return np.clip(((x - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def sigmoid(x: Numbers, center: float, width: float) -> Numbers:
    """PS3.3 C.11.2.1.3.1."""
    return 255 / (1 + np.exp(-4 * (x - center) / width))


def between(x: Numbers, low: float, high: float) -> Numbers:
    """The lowest black, the highest white."""
    return np.clip((x - low) / (high - low) * 255, 0, 255)


def percentiles(x: Numbers, low: float, high: float, left_out: int | None = None) -> Numbers:
    """The percentiles that docs/conversion.md promises where there is no window."""
    return between(x, *np.percentile(x[x != left_out], (low, high)))


def grey(bits: int, frames: int = 1) -> Numbers:
    """All values of so many bits, with a little noise; each frame is brighter than the one before."""
    ramp = np.linspace(0, 2**bits * 0.9, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    noise = np.random.default_rng(bits).normal(0, 2**bits / 200, (frames, ROWS, COLUMNS))
    steps = np.arange(frames)[:, None, None] * 2**bits / 50
    return np.clip(ramp + noise + steps, 0, 2**bits - 1).astype(np.uint8 if bits <= 8 else np.uint16)


def beside(pixels: Numbers, value: int) -> Numbers:
    """The left third is no breast: the detector's border, and what the shutter left."""
    pixels[:, :, : COLUMNS // 3] = value
    return pixels


def colour(frames: int = 1) -> Numbers:
    """Colours that change slowly, as tissue's do, in a round field on black."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot(rows - ROWS / 2, columns - COLUMNS / 2) < ROWS / 2.2
    waves = [np.sin(rows / 17 + shift) + np.cos(columns / 23 - shift) for shift in range(3)]
    tissue = np.stack([128 + 45 * wave for wave in waves], -1) * inside[..., None]
    return np.stack([np.clip(tissue + 9 * frame, 0, 255) for frame in range(frames)]).astype(np.uint8)


def table(bits: int) -> Dataset:
    """A VOI LUT from 1,000, of 4,096 entries: a curve that rises and flattens out."""
    item = Dataset()
    item.LUTDescriptor = [4096, 1000, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", curve(bits).tolist())
    return item


def curve(bits: int) -> Numbers:
    return np.rint(np.sqrt(np.linspace(0, 1, 4096)) * (2**bits - 1)).astype(int)


def frame_group(**sequences: dict[str, Any]) -> Dataset:
    """An item of the per-frame functional groups: each macro a sequence of one item."""
    group = Dataset()
    for keyword, elements in sequences.items():
        item = Dataset()
        for element, value in elements.items():
            setattr(item, element, value)
        setattr(group, keyword, Sequence([item]))
    return group


BITS_10, BITS_12, BITS_14 = ({"BitsStored": bits, "HighBit": bits - 1} for bits in (10, 12, 14))
MG = {"ImageLaterality": "L", "ViewPosition": "MLO", "PresentationIntentType": "FOR PRESENTATION"}
SLOPES, INTERCEPTS = (0.5, 1.25, 3.0), (0.0, -20.0, 100.0)
RESCALED = Sequence(
    frame_group(
        PixelValueTransformationSequence={"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}
    )
    for slope, intercept in zip(SLOPES, INTERCEPTS, strict=True)
)
WINDOWS = (300.0, 400.0), (400.0, 500.0), (500.0, 900.0)
WINDOWED = Sequence(
    frame_group(FrameVOILUTSequence={"WindowCenter": center, "WindowWidth": width}) for center, width in WINDOWS
)
CURIE = {"Units": "BQML", "RescaleSlope": "1.37", "RescaleIntercept": "0", **BITS_14}

VARIANTS = {
    "MG, MONOCHROME1, SIGMOID, 12 bits, the background padded": Variant(
        uid.DigitalMammographyXRayImageStorageForPresentation,
        "MG",
        beside(grey(12), 4095),
        lambda x, _: 255 - sigmoid(x, 2000, 1200),
        {
            **MG,
            **BITS_12,
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "INVERSE",
            "VOILUTFunction": "SIGMOID",
            "WindowCenter": "2000",
            "WindowWidth": "1200",
            "PixelPaddingValue": 4095,
        },
        "inverted: MONOCHROME1",
        (4095,),
        ("+Wfs", "+Ww", "2000", "1200"),
    ),
    "MG, 14 bits, three VOI LUTs, of which the first counts": Variant(
        uid.DigitalMammographyXRayImageStorageForPresentation,
        "MG",
        grey(14),
        lambda x, _: curve(10)[np.clip(x.astype(int) - 1000, 0, 4095)] / 1023 * 255,
        {**MG, **BITS_14, "PresentationLUTShape": "IDENTITY", "VOILUTSequence": Sequence(map(table, (10, 12, 16)))},
        "VOI LUT of 4096 entries, 1 of 3",
        (),
        ("+Wl", "1"),
    ),
    "MG, 12 bits, several windows, a range of padding": Variant(
        uid.DigitalMammographyXRayImageStorageForPresentation,
        "MG",
        beside(grey(12), 7),
        lambda x, _: linear(x, 2200, 1800),
        {
            **MG,
            **BITS_12,
            "WindowCenter": [2200, 2400],
            "WindowWidth": [1800, 900],
            "PixelPaddingValue": 0,
            "PixelPaddingRangeLimit": 10,
        },
        "padding made black: 0 to 10",
        tuple(range(11)),
        ("+Wi", "1"),
    ),
    "MG for processing, without a window, the background padded": Variant(
        uid.DigitalMammographyXRayImageStorageForProcessing,
        "MG",
        beside(grey(14), 16383),
        lambda x, _: percentiles(x, 0.5, 99.5, left_out=16383),
        {**MG, **BITS_14, "PresentationIntentType": "FOR PROCESSING", "PixelPaddingValue": 16383},
        "percentiles 0.5 to 99.5",
        (16383,),
        None,
    ),
    "PX, 8 bits, without a window": Variant(
        uid.DigitalXRayImageStorageForPresentation, "PX", grey(8), lambda x, _: x, {}, "all of 8 bits"
    ),
    "PX, 12 of 16 bits, a window": Variant(
        uid.DigitalXRayImageStorageForPresentation,
        "PX",
        grey(12),
        lambda x, _: linear(x, 2048, 4096),
        {**BITS_12, "WindowCenter": "2048", "WindowWidth": "4096", "PresentationLUTShape": "IDENTITY"},
        "window 2048/4096 LINEAR",
        (),
        ("+Wi", "1"),
    ),
    "IO, MONOCHROME1, 8 bits": Variant(
        uid.DigitalIntraOralXRayImageStorageForPresentation,
        "IO",
        grey(8),
        lambda x, _: 255.0 - x,
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        "inverted: MONOCHROME1",
    ),
    "IO, all of 16 bits, an exact window": Variant(
        uid.DigitalIntraOralXRayImageStorageForPresentation,
        "IO",
        grey(16),
        lambda x, _: between(x, 32_768 - 20_000, 32_768 + 20_000),
        {"WindowCenter": "32768", "WindowWidth": "40000", "VOILUTFunction": "LINEAR_EXACT"},
        "window 32768/40000 LINEAR_EXACT",
        (),
        ("+Ww", "32768", "40000"),
    ),
    "RF, a run of frames with a rate to show them at, 10 bits": Variant(
        uid.XRayRadiofluoroscopicImageStorage,
        "RF",
        grey(10, 3),
        lambda x, _: linear(x, 512, 700),
        {**BITS_10, "RecommendedDisplayFrameRate": 15, "WindowCenter": "512", "WindowWidth": "700"},
        "window 512/700",
        (),
        ("+Wi", "1"),
    ),
    "RF, 8 bits, a Modality LUT that is not meant for display": Variant(
        uid.XRayRadiofluoroscopicImageStorage,
        "RF",
        grey(8, 2),
        lambda x, _: linear(x, 128, 200),
        {"ModalityLUTSequence": Sequence([table(16)]), "WindowCenter": "128", "WindowWidth": "200"},
        "window 128/200",
        (),
        ("-M", "+Wi", "1"),
    ),
    "RF, enhanced, a window for each frame": Variant(
        uid.EnhancedXRFImageStorage,
        "RF",
        grey(10, 3),
        lambda x, index: linear(x, *WINDOWS[index]),
        {**BITS_10, "PerFrameFunctionalGroupsSequence": WINDOWED, "RecommendedDisplayFrameRateInFloat": 7.5},
        "window",
        (),
        None,
    ),
    "PT, becquerels, a window in them": Variant(
        uid.PositronEmissionTomographyImageStorage,
        "PT",
        grey(14),
        lambda x, _: linear(x * 1.37, 9000, 16_000),
        {**CURIE, "WindowCenter": "9000", "WindowWidth": "16000"},
        "rescaled: times 1.37",
        (),
        ("+Wi", "1"),
    ),
    "PT, becquerels, without a window": Variant(
        uid.PositronEmissionTomographyImageStorage,
        "PT",
        grey(14),
        lambda x, _: percentiles(x * 1.37, 0, 99.9),
        CURIE,
        "percentiles 0 to 99.9",
        (),
        None,
    ),
    "PT, enhanced, a slope for each frame": Variant(
        uid.EnhancedPETImageStorage,
        "PT",
        grey(14, 3),
        lambda x, index: linear(x * SLOPES[index] + INTERCEPTS[index], 6000, 11_000),
        {
            **BITS_14,
            "PerFrameFunctionalGroupsSequence": RESCALED,
            "SharedFunctionalGroupsSequence": Sequence(
                [frame_group(FrameVOILUTSequence={"WindowCenter": 6000, "WindowWidth": 11_000})]
            ),
        },
        "rescaled: times",
        (),
        None,
    ),
    "OP, RGB": Variant(uid.OphthalmicPhotography8BitImageStorage, "OP", colour()),
    "OP, a stereo pair as JPEG, 4:2:2": Variant(
        uid.OphthalmicPhotography8BitImageStorage, "OP", colour(2), sampling="4:2:2"
    ),
    "OP, red-free, 12 of 16 bits": Variant(
        uid.OphthalmicPhotography16BitImageStorage,
        "OP",
        grey(12),
        lambda x, _: linear(x, 1800, 3000),
        {**BITS_12, "WindowCenter": "1800", "WindowWidth": "3000"},
        "window 1800/3000",
        (),
        ("+Wi", "1"),
    ),
    "XC, RGB, plane by plane": Variant(
        uid.VLPhotographicImageStorage, "XC", colour(), elements={"PlanarConfiguration": 1}
    ),
    "XC, JPEG, 4:2:2": Variant(uid.VLPhotographicImageStorage, "XC", colour(), sampling="4:2:2"),
    "XC, JPEG, 4:2:0, as cameras do": Variant(uid.VLPhotographicImageStorage, "XC", colour(), sampling="4:2:0"),
    "ES, RGB, several frames": Variant(uid.VLEndoscopicImageStorage, "ES", colour(4)),
    "ES, a run of JPEG frames": Variant(uid.VideoEndoscopicImageStorage, "ES", colour(4), sampling="4:2:2"),
}
COLOURS = [name for name, each in VARIANTS.items() if each.grey is None]
GREYS = [name for name, each in VARIANTS.items() if each.grey is not None]


def jpeg(pixels: Numbers, sampling: str) -> bytes:
    """One colour frame as baseline JPEG."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling=sampling)
    return buffer.getvalue() + b"\0" * (buffer.tell() % 2)


def written(variant: Variant, make_object: Any, encode: Any) -> bytes:
    frames = variant.pixels
    dataset = make_object(frames[0], Modality=variant.modality, SOPClassUID=variant.sop_class, **variant.elements)
    dataset.file_meta.MediaStorageSOPClassUID = variant.sop_class
    dataset.NumberOfFrames = len(frames)
    by_plane = variant.elements.get("PlanarConfiguration")
    dataset.PixelData = (np.moveaxis(frames, -1, 1) if by_plane else frames).tobytes()
    if variant.sampling:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
        dataset.PixelData = encapsulate([jpeg(each, variant.sampling) for each in frames])
        dataset["PixelData"].VR = "OB"
    data: bytes = encode(dataset)
    return data


@pytest.fixture
def convert_variant(make_object: Any, encode: Any) -> Callable[[str], ConvertedObject]:
    """What becomes of one of `VARIANTS`, not shrunk, all its frames."""

    def convert_variant(name: str) -> ConvertedObject:
        data = written(VARIANTS[name], make_object, encode)
        return convert(data, "x.dcm", Settings(picture_side=10_000, frames="all"), "0" * 64)

    return convert_variant


@pytest.mark.parametrize("name", GREYS)
def test_grey_is_as_the_standard_computes_it(name: str, convert_variant: Callable[[str], ConvertedObject]) -> None:
    variant = VARIANTS[name]
    found = convert_variant(name)
    assert [each.frame_number for each in found.pictures] == list(range(1, len(variant.pixels) + 1))
    for index, (stored, picture) in enumerate(zip(variant.pixels, found.pictures, strict=True)):
        expected = np.where(np.isin(stored, variant.padding), 0, variant.grey(stored.astype(np.float64), index))
        assert np.abs(picture.pixels - expected).max() <= 1
        assert picture.pixels.std() > 40
        assert any(each.startswith(variant.said) for each in picture.steps), picture.steps


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_that_were_stored(name: str, convert_variant: Callable[[str], ConvertedObject]) -> None:
    variant = VARIANTS[name]
    found = convert_variant(name)
    for stored, picture in zip(variant.pixels, found.pictures, strict=True):
        expected, most = stored, 0
        if variant.sampling:
            expected = np.asarray(Image.open(BytesIO(jpeg(stored, variant.sampling))).convert("RGB"))
            assert np.abs(expected.astype(int) - stored).mean() < 2  # and that is the picture that was compressed
            most = 1
        assert np.abs(picture.pixels.astype(int) - expected).max() <= most
        assert picture.pixels.std() > 40


@pytest.mark.skipif(not shutil.which("dcmj2pnm"), reason="needs dcmtk: run `make services`")
@pytest.mark.parametrize("name", [name for name, each in VARIANTS.items() if each.dcmtk is not None])
def test_dcmtk_shows_the_same(
    name: str, convert_variant: Callable[[str], ConvertedObject], make_object: Any, encode: Any, tmp_path: Path
) -> None:
    variant, found = VARIANTS[name], convert_variant(name)
    path = tmp_path / "made.dcm"
    path.write_bytes(written(variant, make_object, encode))
    for index, picture in enumerate(found.pictures):
        out = tmp_path / f"{index}.pnm"
        subprocess.run(
            ["dcmj2pnm", "+F", str(index + 1), *variant.dcmtk, path, out], check=True, capture_output=True
        )
        with Image.open(out) as theirs:
            apart = np.abs(picture.pixels.astype(int) - np.asarray(theirs))
        compared = apart[~np.isin(variant.pixels[index], variant.padding)]
        assert (compared <= 1).mean() >= 0.999, f"frame {index + 1}: up to {compared.max()} apart"


def test_side_and_view_of_a_breast_are_recorded(convert_variant: Callable[[str], ConvertedObject]) -> None:
    header = convert_variant(next(iter(VARIANTS))).header
    assert header is not None
    assert (header.modality, header.laterality, header.view_position) == ("MG", "L", "MLO")
