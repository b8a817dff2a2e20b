"""DICOM objects made in memory, and the pictures that become of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cbmir.dicom.frames import find_frames
from cbmir.dicom.read import DicomObject, read_object
from cbmir.dicom.rendering import Rendering
from cbmir.types import ByteArray, FloatArray

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "dicom"


def object_of(pixels: npt.NDArray[Any], syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    """A Secondary Capture object around (rows, columns) or (rows, columns, 3); None takes an element away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OW"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests set what no object should hold
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
    return dataset


def bytes_of(dataset: Dataset) -> bytes:
    """The object as a file; odd pixel data is padded to an even length."""
    buffer = BytesIO()
    if len(dataset.get("PixelData", b"")) % 2:
        dataset.PixelData += b"\0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def shown_of(
    found: DicomObject | Dataset, rendering: Rendering | None = None, *, max_pixels: int = 1_000_000, most: int = 64
) -> Iterator[ByteArray]:
    """The pictures of an object, one at a time: at full size, else as `rendering` says."""
    if isinstance(found, Dataset):
        found = DicomObject.in_memory(found)
    frames = find_frames(found, "x.dcm", max_pixels=max_pixels)
    for shown in frames.pictures(rendering or Rendering(side=100_000), "spread", most):
        yield shown.pixels


def pictures_of(data: bytes, **how: Any) -> list[FloatArray]:
    """The pictures of a file, in [0, 1]."""
    return [pixels.astype(np.float32) / 255 for pixels in shown_of(read_object(data, "x.dcm"), **how)]


@pytest.fixture(scope="session")
def compare_corpus() -> Callable[..., list[Any]]:
    """`compare(name, corpus, folder)` of each name in ../shared/dicom, two at a time, in a folder of its own."""

    def compare_all(names: Callable[[Path], Iterable[str]], compare: Callable[[str, Path, Path], Any]) -> list[Any]:
        if not CORPUS.is_dir():
            pytest.skip("needs the folder ../shared")

        def compared(name: str) -> Any:
            with TemporaryDirectory(prefix="cbmir-compare-") as folder:
                return compare(name, CORPUS, Path(folder))

        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(compared, names(CORPUS)))

    return compare_all


@pytest.fixture
def make_object() -> Callable[..., Dataset]:
    """`object_of`."""
    return object_of


@pytest.fixture
def encode() -> Callable[[Dataset], bytes]:
    """`bytes_of`."""
    return bytes_of


@pytest.fixture
def convert_all() -> Callable[..., list[FloatArray]]:
    """`pictures_of`."""
    return pictures_of


@pytest.fixture
def shown() -> Callable[..., Iterator[ByteArray]]:
    """`shown_of`."""
    return shown_of


@pytest.fixture
def show() -> Callable[..., FloatArray]:
    """The picture of an object of one frame, in [0, 1]: `show(pixels, **elements)`."""

    def show(
        pixels: npt.NDArray[Any],
        syntax: str = ExplicitVRLittleEndian,
        rendering: Rendering | None = None,
        **elements: Any,
    ) -> FloatArray:
        (picture,) = pictures_of(bytes_of(object_of(pixels, syntax, **elements)), rendering=rendering)
        return picture

    return show
