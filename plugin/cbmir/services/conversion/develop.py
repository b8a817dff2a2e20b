"""The use case: files to PNGs and a manifest that says how each was made, without any archive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
from PIL import Image
from pydicom.uid import UID

from cbmir.ahead import in_batches
from cbmir.archive.folder import (
    Content,
    Source,
    Unlisted,
    count_sources,
    find_sources,
    sha256_of,
    size_of,
    unreadable,
)
from cbmir.dicom.rendering import Rendering
from cbmir.errors import NotFound, UnusableInput
from cbmir.files import written, written_whole
from cbmir.progress import Progress
from cbmir.services.conversion.convert import OpenFile, open_file
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.conversion.keep import header_of, opened
from cbmir.settings import Settings
from cbmir.types import InstanceHeader, Picture

MANIFEST = "manifest.json"

Made = TypeVar("Made")

Entry = dict[str, Any]
"""What the manifest says of one file."""

AT_ONCE = 128
"""Files of one batch: twice as many are begun before an earlier one is done, which may take a minute."""

COMPRESSION = 4
"""zlib's level: a tenth larger than the smallest, in half the time."""


@dataclass(frozen=True)
class Wanted:
    """How pictures are wanted.

    Attributes:
        rendering: of each.
        every_window: whether each of an object's windows gives a picture, not only `rendering.window_number`.
    """

    rendering: Rendering
    every_window: bool = False


@dataclass
class Developed:
    """What became of the files: `refused` cannot be converted, `unread` cannot be read at all."""

    objects: int = 0
    pictures: int = 0
    refused: int = 0
    unread: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts, by name."""
        return asdict(self)

    def add(self, entry: Entry) -> None:
        """Count a file of the manifest."""
        self.pictures += len(entry.get("pictures", ()))
        self.objects += "error" not in entry
        self.refused += "error" in entry and entry["error"]["code"] != NotFound.code
        self.unread += "error" in entry and entry["error"]["code"] == NotFound.code


def develop(
    paths: Sequence[Path], out: Path, wanted: Wanted, settings: Settings, progress: Progress
) -> Iterator[Entry]:
    """Convert files, folders, zips and DICOMDIRs, listed as their turn comes: a PNG in `out` for each picture.

    Args:
        paths: what to convert.
        out: a folder, made if it is missing.
        wanted: how.
        settings: for limits and frame policy.
        progress: told after each file.

    Yields:
        What the manifest says of each file, in order: what it is and how each picture was made, or the error.

    Raises:
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if `out` cannot be written.
    """
    sources, total, done = find_sources(paths, settings), count_sources(paths, settings), 0
    progress.update(0, total)
    first = list(islice(sources, os.cpu_count()))
    with Isolation(len(first)) as isolation:
        darkroom = _Darkroom(out, wanted, settings, isolation)
        files, threads = chain(first, sources), isolation.processes
        with closing(in_batches(darkroom.entry, files, threads=threads, most=AT_ONCE)) as batches:
            for done, entry in enumerate(chain.from_iterable(batches), start=1):
                yield entry
                progress.update(done, max(done, total))
    progress.update(done, done)


def write_manifest(path: Path, entries: Iterable[Entry]) -> Developed:
    """Write a JSON list, an entry a line as it comes: of an interrupted run it lists what was done.

    Raises:
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if it cannot be written.
    """
    counts, before = Developed(), b"["
    with written(path) as manifest:
        try:
            for entry in entries:
                manifest.write(before + b"\n" + orjson.dumps(entry))
                manifest.flush()
                counts.add(entry)
                before = b","
        finally:
            manifest.write(b"[]\n" if before == b"[" else b"\n]\n")
    return counts


@dataclass(frozen=True)
class _Darkroom:
    """One call: what its steps share. `taken` are the names of PNGs, and the SHA-256 of the file that has each."""

    out: Path
    wanted: Wanted
    settings: Settings
    isolation: Isolation
    taken: dict[str, str] = field(default_factory=dict)

    def entry(self, source: Source | Unlisted) -> Entry:
        """What the manifest says of a file, once its pictures are made."""
        said: Entry = {"file": source.file_name}
        try:
            self._tell(source, said)
        except UnusableInput as error:
            said["error"] = error.as_json()
        except OSError as error:
            said["error"] = unreadable(source.file_name, error).as_json()
        return said

    def _tell(self, source: Source | Unlisted, said: Entry) -> None:
        """Say of a file what becomes known of it, until it is converted or an error ends that."""
        if isinstance(source, Unlisted):
            said |= {"sha256": source.sha256} if source.sha256 else {}
            said["error"] = source.error.as_json()
            return
        content = source.read()
        said["sha256"] = sha256_of(content)
        header = self._apart(source, content, header_of)
        said |= _described(header)
        said |= self._apart(source, content, _made, self.wanted, self.out, self._stem(header, said["sha256"]))

    def _apart(self, source: Source, content: Content, work: Callable[..., Made], *how: Any) -> Made:
        name = source.file_name
        return self.isolation.run(name, size_of(content), work, content, name, self.settings, *how)

    def _stem(self, header: InstanceHeader | None, sha256: str) -> str:
        """A name that says nothing of a patient: the SOP Instance UID, else by content."""
        wanted = (header and header.sop_instance_uid) or sha256[:16]
        return wanted if self.taken.setdefault(wanted, sha256) == sha256 else f"{wanted}-{sha256[:8]}"


def _made(content: Content, name: str, settings: Settings, wanted: Wanted, out: Path, stem: str) -> Entry:
    """Make the pictures of a file; those made before an error are kept, and listed beside it."""
    pictures: list[Entry] = []
    with opened(content, settings) as stream:
        file = open_file(stream, name, settings)
        said: Entry = {"pipeline": file.pipeline(wanted.rendering), "frames": file.count}
        numbers = _numbers(file, wanted)
        try:
            for number in numbers:
                window = f"-window{number}" if len(numbers) > 1 else ""
                for picture in file.pictures(replace(wanted.rendering, window_number=number)):
                    if number == numbers[0] or number <= file.windows(picture.frame_number):
                        png = f"{stem}-{picture.frame_number:04d}{window}.png"
                        pictures.append(_written(picture, out / png))
        except UnusableInput as error:
            return {**said, "pictures": pictures, "error": error.as_json()}
    return {**said, "pictures": pictures}


def _numbers(file: OpenFile, wanted: Wanted) -> Sequence[int]:
    """The windows that are wanted, counted from 1; some frames may have fewer than others."""
    if not wanted.every_window:
        return [wanted.rendering.window_number]
    return range(1, max(map(file.windows, range(1, file.count + 1))) + 1)


def _written(picture: Picture, path: Path) -> Entry:
    with written_whole(path) as stream:
        Image.fromarray(picture.pixels).save(stream, "PNG", compress_level=COMPRESSION)
    rows, columns = picture.pixels.shape[:2]
    return {
        "png": path.name,
        "frame_number": picture.frame_number,
        "rows": rows,
        "columns": columns,
        "colour": picture.pixels.ndim == 3,
        "steps": list(picture.steps),
        "output_range": [int(picture.pixels.min()), int(picture.pixels.max())],
    }


def _described(header: InstanceHeader | None) -> Entry:
    if header is None:
        return {}
    said = asdict(header)
    del said["patient_key"]
    return {**said, "transfer_syntax": UID(header.transfer_syntax_uid).name}
