"""Which frames are taken, what is refused before anything is decoded, and what every refusal says."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, RLELossless

from cbmir.dicom import frames as room
from cbmir.dicom.choice import chosen
from cbmir.dicom.frames import Shown, find_frames
from cbmir.dicom.read import DicomObject
from cbmir.dicom.rendering import Rendering
from cbmir.errors import BrokenFile, ImplausibleSize, NoPixels, Undecodable, UnusableInput

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def frames(dataset: Dataset, name: str, *, max_pixels: int = 10**6, max_frames: int = 64) -> Iterator[Shown]:
    """The pictures of an object in memory, evenly spread where there are more than `max_frames`."""
    found = find_frames(DicomObject.in_memory(dataset), name, max_pixels=max_pixels)
    yield from found.pictures(Rendering(), "spread", max_frames)


def test_all_frames_or_evenly_spaced_ones() -> None:
    assert chosen(3, "spread", 64) == [0, 1, 2]
    assert chosen(100, "spread", 4) == [12, 37, 62, 87]
    assert chosen(7, "spread", 7) == list(range(7))
    for count in (65, 1000, 10**9):
        indices = chosen(count, "spread", 64)
        assert len(set(indices)) == 64
        assert indices[-1] < count
        assert max(np.diff(indices)) - min(np.diff(indices)) <= 1


def test_frame_numbers_start_at_one(make_object: Any) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(6, 1, 1)
    dataset = make_object(values[0], NumberOfFrames=6, PixelData=values.tobytes())
    taken = list(frames(dataset, "a", max_pixels=1, max_frames=3))
    assert [shown.frame_number for shown in taken] == [2, 4, 6]
    assert [int(shown.pixels[0, 0]) for shown in taken] == [1, 3, 5]


@pytest.mark.parametrize(("number", "first"), [(2, 2), (6, 6), (None, 4), (0, 4), (7, 4)])
def test_the_frame_that_an_object_calls_representative_comes_first(
    make_object: Any, number: int | None, first: int
) -> None:
    """All look alike: so one is enough, and it is the one that the choice begins with."""
    dataset = make_object(PIXELS, NumberOfFrames=6, PixelData=PIXELS.tobytes() * 6)
    if number is not None:
        dataset.RepresentativeFrameNumber = number
    found = find_frames(DicomObject.in_memory(dataset), "a", max_pixels=10**6)
    assert [shown.frame_number for shown in found.pictures(Rendering(), "representative", 3)] == [first]


def test_the_frame_that_an_object_calls_representative_is_looked_at(
    make_object: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.choice, "CANDIDATES", 4)
    dataset = make_object(PIXELS, NumberOfFrames=40, PixelData=PIXELS.tobytes() * 40, RepresentativeFrameNumber=39)
    found = find_frames(DicomObject.in_memory(dataset), "a", max_pixels=10**6)
    assert found.chosen(Rendering(), "representative", 3) == [38]


def test_a_long_object_is_converted_frame_by_frame(make_object: Any) -> None:
    dataset = make_object(np.zeros((128, 128), np.uint8), NumberOfFrames=300)
    dataset.PixelData = bytes(128 * 128 * 300)
    tracemalloc.start()
    count = sum(1 for _ in frames(dataset, "a", max_pixels=10**6, max_frames=300))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300
    assert peak < 10 * 128 * 128 * 4


@pytest.mark.parametrize(("rows", "columns"), [(0, 8), (8, 0), (65_535, 65_535), (1001, 1000)])
def test_an_implausible_size_is_refused_before_anything_is_decoded(
    make_object: Any, rows: int, columns: int
) -> None:
    dataset = make_object(PIXELS, Rows=rows, Columns=columns, NumberOfFrames=10_000)
    tracemalloc.start()
    with pytest.raises(ImplausibleSize, match=f"{rows} x {columns}"):
        next(frames(dataset, "trap.dcm", max_pixels=1_000_000, max_frames=64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


IMAGES = sorted(
    uid
    for name, uid in vars(uids).items()
    if re.search(r"(Image|Photography|Tomosynthesis.*|Dose|Segmentation|ParametricMap)Storage$", name)
)
"""The SOP classes whose objects carry pixels (PS3.4 B.5)."""


@pytest.mark.parametrize("uid", IMAGES, ids=[uid.name for uid in IMAGES])
def test_every_kind_of_image_is_converted(make_object: Any, uid: str) -> None:
    """CR, DX, MG, PX, IO, XA, RF, CT, MR, US, NM, PT, OP, OPT, SC, XC, ES, SM and those of a few more."""
    values = np.stack([PIXELS, PIXELS[::-1]])
    dataset = make_object(PIXELS, NumberOfFrames=2, PixelData=values.tobytes(), SOPClassUID=uid)
    assert [np.array_equal(shown.pixels, frame) for shown, frame in zip(frames(dataset, "a"), values, strict=True)]


def test_more_frames_than_bytes_are_refused(make_object: Any) -> None:
    with pytest.raises(BrokenFile, match="holds 64"):
        next(frames(make_object(PIXELS, NumberOfFrames=10**9), "a", max_pixels=64, max_frames=64))


def first(dataset: Any) -> Shown:
    return next(frames(dataset, "x.dcm"))


@pytest.mark.parametrize(
    ("elements", "error", "words"),
    [
        ({"PixelData": None}, NoPixels, "Secondary Capture"),
        ({"PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, NoPixels, "Encapsulated PDF"),
        ({"PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, NoPixels, "Basic Text SR"),
        ({"PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3"}, NoPixels, "RT Structure Set"),
        (
            {"PixelData": b"", "Rows": 0, "Columns": 0, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3"},
            NoPixels,
            "RT Structure Set",
        ),
        ({"PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59"}, NoPixels, "Key Object"),
        ({"PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, NoPixels, "Presentation State"),
        ({"PixelData": None, "SOPClassUID": "1.2.3.4", "Modality": "ABC"}, NoPixels, "ABC object"),
        ({"PixelData": None, "SOPClassUID": "1.3.12.2.1107.5.9.1", "Modality": "MR"}, NoPixels, "spectroscopy"),
        ({"PixelData": None, "SOPClassUID": "1.3.46.670589.11.0.0.12.1"}, NoPixels, "spectroscopy"),
        ({"PixelData": None, "PixelDataProviderURL": "http://a/b"}, NoPixels, "another server"),
        ({"PixelData": b""}, BrokenFile, "empty PixelData"),
        ({"PixelData": bytes(63)}, BrokenFile, "holds 63"),
        ({"Rows": None}, BrokenFile, "Rows"),
        ({"BitsAllocated": 12, "BitsStored": 13}, BrokenFile, "13 bits stored of 12"),
        ({"BitsAllocated": 10, "BitsStored": 10}, BrokenFile, "of 10 allocated"),
        ({"BitsStored": 9}, BrokenFile, "9 bits stored"),
        ({"SamplesPerPixel": 2}, BrokenFile, "2 samples"),
        ({"SamplesPerPixel": 3}, BrokenFile, "3 sample"),
        ({"PhotometricInterpretation": "RGB"}, BrokenFile, "RGB"),
        ({"PhotometricInterpretation": "HSV"}, Undecodable, "HSV"),
    ],
)
def test_every_refusal_names_the_file_and_the_matter(
    make_object: Any, elements: dict[str, Any], error: type[UnusableInput], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        first(make_object(PIXELS, **elements))
    assert "x.dcm" in caught.value.reason
    assert caught.value.remedy


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.92", "1.2.999.99999.1"])
def test_a_transfer_syntax_without_a_decoder_is_named(make_object: Any, uid: str) -> None:
    dataset = make_object(PIXELS)
    dataset.file_meta.TransferSyntaxUID = uid
    with pytest.raises(Undecodable, match=uid) as caught:
        first(dataset)
    assert "uncompressed" in caught.value.remedy


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit, JPEG2000])
def test_a_damaged_codestream_is_undecodable(
    make_object: Any, syntax: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = make_object(PIXELS, PixelData=encapsulate([b"\xff\xd8" + bytes(range(256))]))
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(Undecodable, match=syntax):
        first(dataset)
    assert capfd.readouterr() == ("", "")


def test_a_frame_of_another_size_than_the_header_says_is_broken() -> None:
    dataset = dcmread(get_testdata_file("MR_small_jp2klossless.dcm"))
    dataset.Rows, dataset.Columns = 32, 128
    with pytest.raises(BrokenFile, match="32 x 128 pixels, but its frame 1 is 64 x 64"):
        first(dataset)


def test_native_pixels_that_claim_to_be_compressed_are_broken(make_object: Any) -> None:
    dataset = make_object(PIXELS)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    with pytest.raises(BrokenFile, match="no frame 1"):
        first(dataset)


def test_lack_of_memory_is_not_blamed_on_the_file(make_object: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(room.Pictures, "frame", exhausted)
    with pytest.raises(MemoryError):
        first(make_object(PIXELS))
