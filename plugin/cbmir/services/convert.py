"""A file's bytes to the pictures that are stored and encoded; for the gallery and for queries alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydicom import Dataset

from cbmir.dicom import frames as dicom_frames
from cbmir.dicom.header import describe
from cbmir.dicom.read import is_dicom, read_dataset
from cbmir.errors import BrokenFile
from cbmir.pictures import read as plain
from cbmir.pictures.scale import shrink, to_bytes, without_colour
from cbmir.settings import Settings
from cbmir.types import ByteArray, ConvertedObject, Picture


def convert(data: bytes, name: str, settings: Settings) -> ConvertedObject:
    """Turn a DICOM object or an image file into pictures.

    Args:
        data: the whole file; what it is, its content says and not its name.
        name: what the user calls it, for the error's reason.
        settings: `max_pixels`, `max_frames` and `picture_side` are heeded.

    Returns:
        At least one picture, uint8, its longer side at most `picture_side`.

    Raises:
        cbmir.errors.UnusableInput: a leaf that says why not: NotAPicture, BrokenFile, NoPixels, Undecodable,
            ImplausibleSize or UnsafeArchive; nothing else but MemoryError.
    """
    if not data:
        raise BrokenFile(f"{name} is empty.", "Fetch or export it again.")
    sha256 = hashlib.sha256(data).hexdigest()
    if not is_dicom(data):
        return ConvertedObject(sha256, None, plain.PIPELINE, _plain_pictures(data, name, settings))
    dataset = read_dataset(data, name)
    header = describe(dataset, name)
    return ConvertedObject(sha256, header, dicom_frames.PIPELINE, _dicom_pictures(dataset, name, settings))


def pipelines(settings: Settings) -> dict[str, str]:
    """The conversions that this installation would make pictures with today: kind to name, version and hash."""
    return {"dicom-2d": dicom_frames.PIPELINE, "picture-2d": plain.PIPELINE}


def is_outdated(pipeline: str, settings: Settings) -> bool:
    """Whether a picture made by `pipeline` would be made in another way today; of foreign ones nobody knows."""
    kind = pipeline.partition("/")[0]
    return pipelines(settings).get(kind, pipeline) != pipeline


def _dicom_pictures(dataset: Dataset, name: str, settings: Settings) -> tuple[Picture, ...]:
    limits = {"max_pixels": settings.max_pixels, "max_frames": settings.max_frames}
    frames = dicom_frames.frames(dataset, name, **limits)
    return _shrunk(((number, to_bytes(pixels)) for number, pixels in frames), settings)


def _plain_pictures(data: bytes, name: str, settings: Settings) -> tuple[Picture, ...]:
    pages = plain.read_pages(data, name, max_pixels=settings.max_pixels, max_pages=settings.max_frames)
    return _shrunk(pages, settings)


def _shrunk(pictures: Iterable[tuple[int, ByteArray]], settings: Settings) -> tuple[Picture, ...]:
    side = settings.picture_side
    return tuple(Picture(number, without_colour(shrink(pixels, side))) for number, pixels in pictures)
