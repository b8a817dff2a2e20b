"""Our pictures of the corpus beside those of dcmtk, at the same window: within one grey level of 255 on 99.9 %.

Every object of ../shared/dicom that can be decoded is shown by both, of the long series the first few slices; of
several frames the first, the middle and the last; with overlays drawn and without. Where dcmtk itself cannot
decode an object (JPEG 2000, segmented palettes, 32-bit colour) it gets what GDCM decoded of it.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, JPEGLSNearLossless

from cbmir.dicom import overlays, values
from cbmir.dicom.frames import Frames, find_frames
from cbmir.dicom.groups import macro
from cbmir.dicom.header import describe
from cbmir.dicom.layout import COLOUR, GREY, PALETTE
from cbmir.dicom.modality import read_modality, rescale
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering, Window
from cbmir.pixels.contrast import sampled
from cbmir.types import ByteArray

PROGRAMS = ("dcmj2pnm", "dcml2pnm", "dcmdump", "dcmodify", "gdcmconv")

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="needs dcmtk and GDCM: run `make services`"),
]

SLICES = 3
"""Of each of the long series that are compared, the first so many."""

INSIDE = 0.05
"""Share of the pixels inside the object's own window, below which one is made of percentiles: else all is black."""

LIVELY = 2.0
"""Standard deviation in grey levels, below which a picture is too flat to prove much."""

REFUSED = {
    "broken/made/encapsulated_bad_item_length.dcm": "an item longer than the file, over which GDCM takes 20 s",
    "broken/made/truncated_minus_1.dcm": "cut short by a byte, behind the pixels",
    "constructed/double_pixel_data.dcm": "no integer pixels",
    "constructed/float_pixel_data.dcm": "no integer pixels",
    "constructed/htj2k_Bretagne1_ht.dcm": "unknown transfer syntax",
    "constructed/htj2k_Bretagne1_ht_lossy.dcm": "unknown transfer syntax",
    "single/pydicom+pylibjpeg-data__SC_rgb_32bit_2frame.dcm": "32-bit colour, which GDCM does not write in frames",
    "single/robyoung+dicom-test-files__SC_rgb_expb_32bit_2frame.dcm": "32-bit colour, as above",
}
"""What neither dcmtk shows nor GDCM decodes for it."""

IN_PLACE_OF = {
    "single/pydicom+pydicom__rtdose_expb.dcm": "single/pydicom+pydicom__rtdose.dcm",
    "single/pydicom+pydicom__rtdose_expb_1frame.dcm": "single/pydicom+pydicom__rtdose_1frame.dcm",
}
"""Big-endian pixels of 32 bits, which dcmtk and GDCM read as swapped 16-bit words, and the same little-endian,
which dcmtk is shown instead."""

YBR_ROUNDED = {"single/robyoung+dicom-test-files__SC_ybr_full_uncompressed.dcm": 2}
"""Most levels apart where dcmtk rounds each term of YBR to RGB to an integer before it adds them."""

CUT = 2
"""Most levels apart where dcmtk cuts rescaled values down to whole numbers, in windows at least 255 wide."""

SIGNED_WITHIN = ("single/pydicom+pylibjpeg-data__TOSHIBA_J2K_SIZ1_PixRep0.dcm",)
"""JPEG 2000 whose codestream says that it is signed and whose header does not: GDCM believes the header."""


@dataclass(frozen=True)
class View:
    """One picture that both make."""

    index: int
    window: tuple[float, float] | None
    drawn: bool

    @property
    def options(self) -> list[str]:
        """The view for dcmtk's programs."""
        drawn = ["+O", "0"] if self.drawn else ["-O"]
        window = ["+Ww", *map(str, self.window)] if self.window else []
        return ["+F", str(self.index + 1), *drawn, *window]

    @property
    def rendering(self) -> Rendering:
        """The view for us."""
        window: Window = self.window or "auto"
        return Rendering(side=100_000, window=window, overlays=self.drawn)


@dataclass(frozen=True)
class Result:
    """What came of one object.

    Attributes:
        path: of the object.
        shown, refused: how many pictures both made of it, and how many dcmtk did not.
        wrong: those that differ, in words.
        deviation: standard deviation of its liveliest picture, in levels.
        kinds: transfer syntax and photometric interpretation.
        said: the steps of all its pictures.
    """

    path: str
    shown: int
    refused: int
    wrong: tuple[str, ...]
    deviation: float
    kinds: tuple[str, str]
    said: str


def decodable(folder: Path) -> Iterator[str]:
    """Objects of the manifest that can be decoded, of each of the long series the first few."""
    taken: Counter[str] = Counter()
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest):
            series = row["path"].rpartition("/")[0] if row["path"].startswith("series/") else ""
            taken[series] += 1
            if row["expected"].startswith("yes") and (not series or taken[series] <= SLICES):
                yield row["path"]


def fitting_window(found: DicomObject, frames: Frames, index: int) -> tuple[float, float]:
    """(center, width): the object's own first window if the frame has something in it, else by percentiles."""
    stored = sampled(frames.decoder.frame(index, 0).values)
    inputs = read_modality(found.dataset, index, stored.dtype).apply(stored).astype(np.float64)
    described = macro(found.dataset, index, "FrameVOILUTSequence")
    center, width = (values.number(described, each) for each in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None and (abs(inputs - center) < width / 2).mean() >= INSIDE:
        return center, width
    low, high = np.percentile(inputs, (1, 99))
    if low == high:
        low, high = inputs.min(), inputs.max()
    return float(round((low + high) / 2)), float(max(4, round(high - low)))


def views(found: DicomObject, frames: Frames) -> Iterator[View]:
    """The first, middle and last frame, with overlays and without."""
    grey = frames.layout.photometric.startswith("MONOCHROME")
    for index in sorted({0, frames.count // 2, frames.count - 1}):
        window = fitting_window(found, frames, index) if grey else None
        for drawn in (False, True) if overlays.count(found.dataset) else (False,):
            yield View(index, window, drawn)


def run(*words: object) -> bool:
    done = subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def decoded_by_gdcm(name: str, photometric: str, path: Path, folder: Path) -> Path | None:
    """The object uncompressed and its palette written out, decoded once a folder; GDCM may crash over it."""
    raw, plain = folder / "raw.dcm", folder / "plain.dcm"
    if not raw.exists() and not name.startswith("broken/"):
        run("gdcmconv", "--raw", path, raw)
        if name in SIGNED_WITHIN:
            run("dcmodify", "-nb", "-m", "(0028,0103)=1", raw)
        if photometric == PALETTE:
            run("gdcmconv", "--decompress-lut", raw, plain)
    return next((each for each in (plain, raw) if each.is_file()), None)


def theirs(path: Path, view: View, syntax: str, folder: Path) -> ByteArray | None:
    """The picture that dcmtk makes of an object of this transfer syntax; None where it cannot."""
    out = folder / "theirs.pnm"
    program = "dcml2pnm" if syntax in (JPEGLSLossless, JPEGLSNearLossless) else "dcmj2pnm"
    out.unlink(missing_ok=True)
    if not run(program, *view.options, path, out) or not out.is_file():
        return None
    with Image.open(out) as image:
        return np.asarray(image)


def allowed(path: str, found: DicomObject, view: View) -> int:
    """Most levels apart that are explained."""
    slope, intercept = rescale(found.dataset, view.index)
    if view.window and view.window[1] >= 255 and (slope % 1 or intercept % 1):
        return CUT
    return YBR_ROUNDED.get(path, 1)


def compare(name: str, corpus: Path, folder: Path) -> Result:
    """Show an object by both; `folder` is empty and its own."""
    found = read_object((corpus / name).read_bytes(), name)
    frames = find_frames(found, name, max_pixels=10**8)
    if "PixelPaddingValue" in found.dataset:
        del found.dataset.PixelPaddingValue  # ours is black, dcmtk draws it through the window
    path = corpus / IN_PLACE_OF.get(name, name)
    wrong, said, shown, deviation = [], [], 0, 0.0
    every = list(views(found, frames))
    for view in every:
        other = theirs(path, view, frames.layout.syntax, folder)
        if other is None and (plain := decoded_by_gdcm(name, frames.layout.photometric, path, folder)):
            other = theirs(plain, view, ExplicitVRLittleEndian, folder)
        if other is not None:
            ours = frames.picture(view.index, view.rendering)
            wrong += differences(ours.pixels, other, allowed(name, found, view), f"{name}, {view}")
            said += ours.steps
            shown, deviation = shown + 1, max(deviation, float(ours.pixels.std()))
    kinds = (str(frames.layout.syntax), frames.layout.photometric)
    return Result(name, shown, len(every) - shown, tuple(wrong), deviation, kinds, " ".join(said))


def differences(ours: ByteArray, other: ByteArray, most: int, what: str) -> list[str]:
    if ours.shape != other.shape:
        return [f"{what}: {ours.shape} and {other.shape}"]
    apart = np.abs(ours.astype(int) - other)
    close = (apart <= most).mean()
    return [] if close >= 0.999 else [f"{what}: up to {apart.max()} levels apart, {close:.2%} within {most}"]


@pytest.fixture(scope="module")
def results(compare_corpus: Callable[..., list[Result]]) -> list[Result]:
    """All objects, compared."""
    return compare_corpus(decodable, compare)


def test_one_grey_level_on_999_of_1000_pixels(results: list[Result]) -> None:
    assert [each for result in results for each in result.wrong] == []


def test_what_is_not_compared_is_known(results: list[Result]) -> None:
    assert {result.path for result in results if result.refused} == set(REFUSED)


def test_enough_of_each_kind_was_compared(results: list[Result]) -> None:
    compared = [result for result in results if result.shown]
    assert len(compared) >= 215
    assert sum(result.shown for result in compared) >= 280
    assert sum(result.deviation >= LIVELY for result in compared) >= 205
    assert len({result.kinds[0] for result in compared}) == 13
    assert {*COLOUR, *GREY, PALETTE} - {result.kinds[1] for result in compared} == {"YBR_PARTIAL_422", "XYB"}
    said = " ".join(result.said for result in compared)
    for step in ("overlay plane(s) drawn", "modality LUT", "rescaled", "inverted: MONOCHROME1", "palette"):
        assert step in said


ELEMENTS = {
    "0008,0016": "sop_class_uid",
    "0008,0018": "sop_instance_uid",
    "0008,0060": "modality",
    "0018,0015": "body_part",
    "0020,000d": "study_instance_uid",
    "0020,000e": "series_instance_uid",
    "0028,0004": "photometric",
}
"""Elements that are kept as they are, and the names that we give them."""


def dumped(path: Path) -> dict[str, str]:
    """What dcmdump says of `ELEMENTS`, outside of any sequence."""
    wanted = [word for tag in ELEMENTS for word in ("+P", tag)]
    words = ["dcmdump", "-q", "-Un", "+L", "+p", *wanted, path]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    lines = re.findall(r"^\(([0-9a-f,]{9})\) [A-Z]{2} [=\[](.*?)\]? +#", done.stdout, re.MULTILINE)
    return {tag: value.strip("\0 ") for tag, value in lines}


def is_kept(tag: str, value: str) -> bool:
    """Whether it is a value that we keep: of UIDs only valid ones."""
    return not ELEMENTS[tag].endswith("_uid") or re.fullmatch(r"[0-9.]{1,64}", value) is not None


def test_headers_say_what_dcmdump_says(shared: Path) -> None:
    said: Counter[str] = Counter()
    for name in decodable(shared / "dicom"):
        path = shared / "dicom" / name
        theirs = dumped(path)
        if name.startswith("broken/") or "0008,0018" not in theirs:
            continue
        ours = describe(read_object(path.read_bytes(), name).dataset, name)
        for tag, value in theirs.items():
            if is_kept(tag, value):
                said[tag] += bool(value)
                assert getattr(ours, ELEMENTS[tag]) == value.upper(), (name, tag)
    assert min(said[tag] for tag in ELEMENTS if tag != "0018,0015") >= 200
    assert said["0018,0015"] >= 50
