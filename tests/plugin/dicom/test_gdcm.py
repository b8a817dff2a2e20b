"""Our stored values of the corpus beside those of GDCM, which decompresses by its own copies of the codecs."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread

from cbmir.dicom.decode import decoder_for
from cbmir.dicom.layout import read_layout
from cbmir.dicom.read import read_object

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not shutil.which("gdcmconv"), reason="needs gdcmconv of GDCM: run `make services`"),
]

Values = npt.NDArray[Any]


SLICES = 2
"""Of each of the long series that are compared, the first so many."""

ROUNDED = 1
"""Levels that a JPEG's RGB may lie apart: GDCM leaves YBR, in integers, that is turned to RGB here."""

REFUSED = {
    "broken/made/truncated_minus_1.dcm": "GDCM ends by an assertion",
    "constructed/double_pixel_data.dcm": "no integer pixels",
    "constructed/float_pixel_data.dcm": "no integer pixels",
    "constructed/htj2k_Bretagne1_ht.dcm": "unknown transfer syntax",
    "constructed/htj2k_Bretagne1_ht_lossy.dcm": "unknown transfer syntax",
    "single/ImagingDataCommons+highdicom__seg_image_sm_control_labelmap.dcm": "unknown SOP class",
    "single/ImagingDataCommons+highdicom__seg_image_sm_control_labelmap_palette_color.dcm": "unknown SOP class",
    "single/pydicom+pydicom__SC_rgb_rle_16bit_2frame.dcm": "not written: colour of more than 8 bits, in frames",
    "single/pydicom+pydicom__SC_rgb_rle_32bit_2frame.dcm": "not written: as above",
    "single/pydicom+pylibjpeg-data__SC_rgb_16bit_2frame.dcm": "not written: as above",
    "single/pydicom+pylibjpeg-data__SC_rgb_32bit_2frame.dcm": "not written: as above",
    "single/robyoung+dicom-test-files__SC_rgb_expb_16bit_2frame.dcm": "not written: as above",
    "single/robyoung+dicom-test-files__SC_rgb_expb_32bit_2frame.dcm": "not written: as above",
}
"""What GDCM does not decompress."""

SLOW = ("broken/made/encapsulated_bad_item_length.dcm",)
"""Over which GDCM takes 20 s."""

IN_PLACE_OF = {
    "single/pydicom+pydicom__rtdose_expb.dcm": "single/pydicom+pydicom__rtdose.dcm",
    "single/pydicom+pydicom__rtdose_expb_1frame.dcm": "single/pydicom+pydicom__rtdose_1frame.dcm",
    "single/pydicom+pydicom__SC_rgb_rle_16bit.dcm": "single/pydicom+pylibjpeg-data__SC_rgb_16bit.dcm",
    "single/pydicom+pydicom__SC_rgb_rle_32bit.dcm": "single/pydicom+pylibjpeg-data__SC_rgb_32bit.dcm",
}
"""What GDCM reads wrongly, and the same pixels in a syntax that it reads: big-endian pixels of 32 bits (it swaps
the bytes of 16-bit words), and RLE in colour of more than 8 bits."""


@dataclass(frozen=True)
class Result:
    """What came of one object: how many frames were compared, how far they are apart, and of which syntax."""

    path: str
    frames: int
    apart: int
    rounded: bool
    syntax: str


def decodable(folder: Path) -> Iterator[str]:
    """Objects of the manifest that can be decoded, of each of the long series the first few."""
    taken: Counter[str] = Counter()
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest):
            series = row["path"].rpartition("/")[0] if row["path"].startswith("series/") else ""
            taken[series] += 1
            wanted = row["expected"].startswith("yes") and row["path"] not in SLOW
            if wanted and (not series or taken[series] <= SLICES):
                yield row["path"]


def decompressed(path: Path, folder: Path) -> Dataset | None:
    """The object as GDCM writes it, uncompressed; None where it cannot, or crashes."""
    out = folder / "raw.dcm"
    done = subprocess.run(["gdcmconv", "--raw", path, out], capture_output=True, check=False, timeout=60)
    return dcmread(out, force=True) if done.returncode == 0 and out.is_file() else None


def stored_values(raw: Dataset, frames: int) -> Values:
    """(frames, rows, columns) or (frames, rows, columns, 3) of uncompressed pixels, without the unused bits."""
    if raw.BitsAllocated == 1:
        bits = np.unpackbits(np.frombuffer(raw.PixelData, np.uint8), bitorder="little")
        return bits[: frames * raw.Rows * raw.Columns].reshape(frames, raw.Rows, raw.Columns)
    cells = np.frombuffer(raw.PixelData, f"<u{raw.BitsAllocated // 8}")
    if raw.PhotometricInterpretation == "YBR_FULL_422":
        first, second, *colours = cells.reshape(-1, 4).T
        cells = np.stack([first, *colours, second, *colours], axis=-1).reshape(-1)
    cells = cells[: frames * raw.Rows * raw.Columns * raw.SamplesPerPixel]
    above = raw.BitsAllocated - raw.BitsStored
    moved = cells << (raw.BitsAllocated - 1 - raw.HighBit)
    cells = (moved.view(f"i{cells.itemsize}") if raw.PixelRepresentation else moved) >> above
    if raw.SamplesPerPixel == 1:
        return cells.reshape(frames, raw.Rows, raw.Columns)
    if raw.get("PlanarConfiguration"):
        return np.moveaxis(cells.reshape(frames, 3, raw.Rows, raw.Columns), 1, -1)
    return cells.reshape(frames, raw.Rows, raw.Columns, 3)


def to_rgb(ybr: Values) -> Values:
    """PS3.3 C.7.6.3.1.2 of 8 bits, in double precision."""
    luminance, blue, red = np.moveaxis(ybr.astype(float) - (0, 128, 128), -1, 0)
    green = luminance - 0.114 * 1.772 / 0.587 * blue - 0.299 * 1.402 / 0.587 * red
    return np.rint(np.clip(np.stack([luminance + 1.402 * red, green, luminance + 1.772 * blue], -1), 0, 255))


def compare(name: str, corpus: Path, folder: Path) -> Result:
    """Decode the first, middle and last frame of an object by both; `folder` is empty and its own."""
    found = read_object((corpus / name).read_bytes(), name)
    layout = read_layout(found, name, max_pixels=10**8)
    decoder = decoder_for(found, layout, name)
    raw = decompressed(corpus / IN_PLACE_OF.get(name, name), folder)
    if raw is None:
        return Result(name, 0, 0, False, layout.syntax)
    theirs = stored_values(raw, layout.frames)
    rounded, most = False, 0
    indices = sorted({0, layout.frames // 2, layout.frames - 1})
    for index in indices:
        decoded = decoder.frame(index, 0)
        other = theirs[index]
        if decoded.photometric == "RGB" and raw.PhotometricInterpretation.startswith("YBR"):
            rounded, other = True, to_rgb(other)
        if decoded.values.dtype.kind == "i" and other.dtype.kind == "u":
            other = other.view(
                f"i{other.itemsize}"
            )  # a codestream that says that it is signed, of a header that does not
        assert decoded.values.shape == other.shape, name
        most = max(most, int(np.abs(decoded.values.astype(np.int64) - other.astype(np.int64)).max()))
    return Result(name, len(indices), most, rounded, layout.syntax)


@pytest.fixture(scope="module")
def results(compare_corpus: Callable[..., list[Result]]) -> list[Result]:
    """All objects, compared."""
    return compare_corpus(decodable, compare)


def test_stored_values_are_the_same(results: list[Result]) -> None:
    """Also those of lossy JPEG, JPEG-LS and JPEG 2000, but for what is turned to RGB by another formula."""
    assert [each for each in results if each.apart > 0 and not each.rounded] == []
    assert [each for each in results if each.apart > ROUNDED] == []


def test_nothing_else_is_refused(results: list[Result]) -> None:
    assert {each.path for each in results if not each.frames} <= set(REFUSED)


def test_enough_of_each_syntax_was_compared(results: list[Result]) -> None:
    syntaxes = Counter(each.syntax for each in results if each.frames)
    assert syntaxes.total() >= 200
    assert sum(each.frames for each in results) >= 250
    jpeg = ("50", "51", "57", "70", "80", "81", "90", "91")
    every = ("", ".1", ".1.99", ".2", ".5", *(f".4.{each}" for each in jpeg))
    assert set(syntaxes) == {f"1.2.840.10008.1.2{each}" for each in every}
    assert (
        min(syntaxes[f"1.2.840.10008.1.2.{each}"] for each in ("5", "4.50", "4.70", "4.80", "4.81", "4.90", "4.91"))
        >= 9
    )
