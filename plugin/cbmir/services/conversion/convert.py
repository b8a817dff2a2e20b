"""A file to the pictures that are stored and encoded; for the gallery and for queries alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import SEEK_END
from typing import BinaryIO

from cbmir.dicom.choice import check_policy
from cbmir.dicom.frames import Frames, Shown, find_frames
from cbmir.dicom.header import describe
from cbmir.dicom.read import HEAD, is_dicom, read_object
from cbmir.dicom.rendering import Rendering, hashed, read_window
from cbmir.errors import BrokenFile, ImplausibleSize, NotFound
from cbmir.pictures import read as plain
from cbmir.pictures.scale import fit, without_colour
from cbmir.quiet import contained
from cbmir.settings import Settings
from cbmir.types import ByteArray, ConvertedObject, InstanceHeader, Picture


@lru_cache(maxsize=8)
def rendering_of(settings: Settings) -> Rendering:
    """What an installation wants of its pictures.

    Raises:
        cbmir.errors.BadRequest: if a setting names what there is not.
    """
    return Rendering(
        window=read_window(settings.window),
        side=settings.picture_side,
        crop=settings.crop,
        waveform=settings.waveform,
    )


def check_settings(settings: Settings) -> None:
    """Refuse settings of the conversion that make no sense, before any file is blamed for them.

    Raises:
        cbmir.errors.BadRequest: naming what there is.
    """
    rendering_of(settings)
    check_policy(settings.frames)


def pipelines(settings: Settings) -> Mapping[str, str]:
    """The conversions that this installation would make pictures with today: kind to name, version and hash."""
    return pipelines_of(rendering_of(settings))


@lru_cache(maxsize=8)
def pipelines_of(wanted: Rendering) -> Mapping[str, str]:
    """The conversions that make pictures as they are wanted, by kind."""
    return {"dicom-2d": wanted.pipeline, "picture-2d": hashed(plain.VERSION, {"side": wanted.side})}


def is_outdated(pipeline: str, settings: Settings) -> bool:
    """Whether a picture made by `pipeline` would be made in another way today; of foreign ones nobody knows."""
    kind = pipeline.partition("/")[0]
    return pipelines(settings).get(kind, pipeline) != pipeline


def convert(source: bytes | BinaryIO, name: str, settings: Settings, sha256: str) -> ConvertedObject:
    """Turn a DICOM object or an image file into pictures, all in memory; `keep.keep` puts them on the shelf as they
    come.

    Args:
        source: the whole file, or one open for reading, of which a DICOM object is read frame by frame; what it is,
            its content says and not its name.
        name: what the user calls it, for the error's reason.
        settings: `max_pixels`, `max_frames`, `frames`, `picture_side` and what else tells how are heeded.
        sha256: of the file's bytes.

    Returns:
        At least one picture, uint8, its longer side at most `picture_side`.

    Raises:
        cbmir.errors.UnusableInput: a leaf that says why not: NotAPicture, BrokenFile, NoPixels, Undecodable,
            ImplausibleSize or UnsafeArchive; nothing else but MemoryError.
    """
    wanted = rendering_of(settings)
    with contained():
        file = open_file(source, name, settings)
        pictures = tuple(file.pictures(wanted))
    return file.converted(sha256, wanted, pictures)


def convert_one(
    source: bytes | BinaryIO, name: str, settings: Settings, sha256: str, frame_number: int | None
) -> ConvertedObject:
    """Turn one frame of a file into a picture, the same that `convert` gives.

    Args:
        source: as for `convert`.
        name: as for `convert`.
        settings: as for `convert`.
        sha256: of the file's bytes.
        frame_number: 1-based; None is the middle one of those that are indexed, where a volume shows most.

    Raises:
        cbmir.errors.NotFound: if there is no such frame.
        cbmir.errors.UnusableInput: as `convert` does.
    """
    file = open_file(source, name, settings)
    wanted = rendering_of(settings)
    picture = file.picture(wanted, frame_number)
    return file.converted(sha256, wanted, (picture,))


@dataclass(frozen=True)
class OpenFile:
    """A file whose kind is known and whose header is read, before any picture is made.

    Attributes:
        header: None for PNG, JPEG, TIFF and BMP.
        count: frames or pages that it has.
    """

    name: str
    settings: Settings
    header: InstanceHeader | None
    count: int
    frames: Frames | None
    data: bytes

    def windows(self, frame_number: int) -> int:
        """How many windows a frame (1-based) has to choose from; 1 where it has none."""
        return self.frames.windows(frame_number - 1) if self.frames else 1

    def pipeline(self, wanted: Rendering) -> str:
        """Name, version and hash of the conversion that makes such pictures of this file."""
        return pipelines_of(wanted)["dicom-2d" if self.frames else "picture-2d"]

    def converted(self, sha256: str, wanted: Rendering, pictures: tuple[Picture, ...] = ()) -> ConvertedObject:
        """What the file of this hash is, with pictures of it as they are wanted, or without any."""
        return ConvertedObject(sha256, self.header, self.pipeline(wanted), pictures, self.count)

    def pictures(self, wanted: Rendering) -> Iterator[Picture]:
        """The pictures that the settings' policy takes, one at a time.

        Raises:
            cbmir.errors.UnusableInput: as `convert` does.
        """
        settings = self.settings
        if self.frames is None:
            yield from self._pages(wanted, settings.max_frames)
            return
        for shown in self.frames.pictures(wanted, settings.frames, settings.max_frames):
            yield fitted(shown, wanted.side)

    def picture(self, wanted: Rendering, frame_number: int | None) -> Picture:
        """The picture of one frame; without a number the middle one of those that the settings' policy takes."""
        if frame_number is not None and not 1 <= frame_number <= self.count:
            reason = f"{self.name} has no frame {frame_number} that could be asked about."
            raise NotFound(reason, f"It has {self.count}, from 1 to {self.count}.")
        if self.frames is None:
            middle = min(self.count, self.settings.max_frames) // 2 + 1
            return list(self._pages(wanted, frame_number or middle))[-1]
        return fitted(self.frames.picture(self._index(wanted, frame_number), wanted), wanted.side)

    def _index(self, wanted: Rendering, frame_number: int | None) -> int:
        if frame_number is not None or self.frames is None:
            return (frame_number or 1) - 1
        taken = self.frames.chosen(wanted, self.settings.frames, self.settings.max_frames)
        return taken[len(taken) // 2]

    def _pages(self, wanted: Rendering, most: int) -> Iterator[Picture]:
        limits = {"max_pixels": self.settings.max_pixels, "max_pages": most}
        for number, pixels in plain.read_pages(self.data, self.name, **limits):
            yield _picture(number, pixels, 1.0, wanted.side, ())


def open_file(source: bytes | BinaryIO, name: str, settings: Settings) -> OpenFile:
    """Find out what a file is, and read its header.

    Raises:
        cbmir.errors.UnusableInput: as `convert` does.
    """
    size = _size(source)
    if not size:
        raise BrokenFile(f"{name} is empty.", "Fetch or export it again.")
    head = _head(source)
    if not is_dicom(head, size):
        plain.known_format(head, name)  # before a film or a disk image is read as a whole
        data = _whole(source, size, name, settings)
        return OpenFile(name, settings, None, plain.pages(data, name), None, data)
    found = read_object(source, name)
    header = describe(found.dataset, name)
    frames = find_frames(found, name, max_pixels=settings.max_pixels, regions=header.ultrasound_regions)
    return OpenFile(name, settings, header, frames.count, frames, b"")


def read_header(source: bytes | BinaryIO, name: str) -> InstanceHeader | None:
    """What a DICOM object's header says, whether or not it has a picture; None of any other file.

    Raises:
        cbmir.errors.UnusableInput: if it cannot be read.
    """
    if not is_dicom(_head(source), _size(source)):
        return None
    return describe(read_object(source, name).dataset, name)


def fitted(shown: Shown, side: int) -> Picture:
    """A frame on the screen as it is stored: its pixels square, its longer side at most `side`."""
    return _picture(shown.frame_number, shown.pixels, shown.aspect, side, shown.steps)


def _picture(number: int, pixels: ByteArray, aspect: float, side: int, steps: tuple[str, ...]) -> Picture:
    made = fit(pixels, side, aspect)
    if aspect != 1.0:
        steps += (f"pixels made square: {aspect:.4g} times as high as wide",)
    if max(made.shape[:2]) < max(pixels.shape[:2]):
        steps += (f"shrunk: {made.shape[0]} x {made.shape[1]} by averaging areas",)
    plain_grey = without_colour(made)
    if plain_grey.ndim < made.ndim:
        steps += ("grey: all three colours are equal",)
    return Picture(number, plain_grey, steps)


def _size(source: bytes | BinaryIO) -> int:
    return len(source) if isinstance(source, bytes) else source.seek(0, SEEK_END)


def _head(source: bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD]
    source.seek(0)
    return source.read(HEAD)


def _whole(source: bytes | BinaryIO, size: int, name: str, settings: Settings) -> bytes:
    if isinstance(source, bytes):
        return source
    if size > settings.max_file_bytes:
        reason = f"{name} has {size:,} bytes, more than the {settings.max_file_bytes:,} allowed."
        raise ImplausibleSize(reason, "Raise CBMIR_MAX_FILE_BYTES if it is meant to be that large.")
    source.seek(0)
    return source.read()
