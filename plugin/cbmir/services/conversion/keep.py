"""A file to pictures on the shelf: what of an ingestion needs no database, and so can run anywhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from cbmir.archive.folder import Content, content_of
from cbmir.pictures.shelf import Shelf
from cbmir.quiet import contained
from cbmir.services.conversion.convert import open_file, read_header, rendering_of
from cbmir.settings import Settings
from cbmir.types import ByteArray, ConvertedObject, InstanceHeader, NewFrame, Picture

Kept = tuple[ConvertedObject, tuple[NewFrame, ...]]
"""What a file was, its pictures left out, and one frame for each picture on the shelf."""


def keep(content: Content, name: str, settings: Settings, sha256: str) -> Kept:
    """Convert a file and put its pictures on the shelf, all of them or none. Memory: one picture, however many.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be used; the leaf says why.
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a picture cannot be stored.
        OSError: if the file cannot be opened.
    """
    wanted = rendering_of(settings)
    with opened(content, settings) as source, contained(), Shelf(settings.pictures).together() as put:
        file = open_file(source, name, settings)
        pipeline = file.pipeline(wanted)
        frames = tuple(_new_frame(picture, put, pipeline) for picture in file.pictures(wanted))
        return file.converted(sha256, wanted), frames


def header_of(content: Content, name: str, settings: Settings) -> InstanceHeader | None:
    """What a DICOM object's header says, whether or not it has a picture; None of any other file.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be read.
    """
    with opened(content, settings) as source:
        return read_header(source, name)


def opened(content: Content, settings: Settings) -> AbstractContextManager[bytes | BinaryIO]:
    """The bytes, or, of a file that is too large to be read at once, the file open for reading."""
    found = content_of(content, settings) if isinstance(content, Path) else content
    return found.open("rb") if isinstance(found, Path) else nullcontext(found)


def _new_frame(picture: Picture, put: Callable[[ByteArray], str], pipeline: str) -> NewFrame:
    rows, columns = picture.pixels.shape[:2]
    return NewFrame(picture.frame_number, put(picture.pixels), rows, columns, pipeline, picture.steps)
