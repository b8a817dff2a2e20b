"""What is known of files beside their bytes: a manifest of labels, or the names of folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from cbmir.archive.folder import Source, Unlisted
from cbmir.errors import BadManifest, ConflictingLabels, NotFound
from cbmir.labels import tidied
from cbmir.types import Labelling, LabelOrigin

CONTENT = ("modality", "subclass")
"""Labels that say what a picture shows; the folders that it lies in may say them."""

LABELS = (*CONTENT, "source")
COLUMNS = ("path", *LABELS, "group")

OTHER_NAMES = {"source": "source_repo"}
"""Columns that are read where the one of the label's own name says nothing."""


class Labeller(Protocol):
    """Says what is known of a source."""

    def of(self, source: Source) -> Labelling | None:
        """The source's labels and group, or None where nothing is known.

        Raises:
            cbmir.errors.ConflictingLabels: if what is known contradicts itself.
        """


class NoLabels:
    """Nothing is known."""

    def of(self, source: Source) -> Labelling | None:
        """None."""


class FolderLabels:
    """The folder that a file lies in is its subclass, the one above it its modality."""

    def of(self, source: Source) -> Labelling | None:
        """`mri/brain_glioma/1.png` gives modality and subclass, `brain_glioma/1.png` the subclass alone."""
        folders = PurePosixPath(source.file_name).parts[:-1][-2:]
        labels = dict(zip(CONTENT[::-1], folders[::-1], strict=False))
        return Labelling(labels, None, LabelOrigin.FOLDER) if labels else None


@dataclass(frozen=True)
class Row:
    """One line of a manifest."""

    file_name: str
    labels: dict[str, str]
    group: str | None


@dataclass(frozen=True)
class Manifest:
    """A CSV file with the columns `path` (relative to the file), `modality`, `subclass`, `source` and `group`.

    `source` is where a picture comes from: a hospital, a data set. `source_repo` is its other name.

    Attributes:
        path: of the CSV file.
        rows: by the resolved path of the file that they describe; more than one where a path is repeated.
    """

    path: Path
    rows: dict[Path, list[Row]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            cbmir.errors.BadManifest: if it cannot be read, is no CSV in UTF-8, lacks the column `path` or any that
                says something of a file, or has a line of more or fewer fields than the first.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                _check_columns(tuple(reader.fieldnames or ()), path)
                return cls(path, _by_file(reader, path))
        except OSError as error:
            raise BadManifest(f"{path} cannot be read: {error.strerror}.", "Name a CSV file.") from error
        except (ValueError, csv.Error) as error:  # a NUL in a path is a ValueError
            raise BadManifest(f"{path} cannot be read as CSV in UTF-8: {error}.", "Save it as such.") from error

    def of(self, source: Source) -> Labelling | None:
        """What the manifest says of the source; its file name is then the manifest's."""
        rows = self.rows.get(source.path, []) if source.path else []
        if not rows:
            return None
        if any(row != rows[0] for row in rows):
            raise ConflictingLabels(
                f"{source.file_name} stands in {self.path.name} {len(rows)} times with different labels.",
                "Keep one line for each file.",
            )
        return Labelling(rows[0].labels, rows[0].group, LabelOrigin.MANIFEST)

    def missing(self) -> Iterator[Unlisted]:
        """The files that the manifest names and that are not there."""
        for file, (row, *_) in self.rows.items():
            if not _is_there(file):
                reason = f"{row.file_name} stands in {self.path.name} but is not there."
                yield Unlisted(
                    row.file_name, str(file), NotFound(reason, "Correct the manifest or bring the file.")
                )


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name too long for the system
        return False


def _check_columns(columns: tuple[str, ...], path: Path) -> None:
    said = f"its columns are: {', '.join(columns) or 'none'}"
    remedy = f"A manifest has the columns {', '.join(COLUMNS)}, with commas between."
    if "path" not in columns:
        raise BadManifest(f"{path.name} has no column `path`; {said}.", remedy)
    if not {*COLUMNS[1:], *OTHER_NAMES.values()} & set(columns):
        raise BadManifest(f"{path.name} says nothing of its files; {said}.", remedy)


def _by_file(reader: csv.DictReader[str], path: Path) -> dict[Path, list[Row]]:
    rows: dict[Path, list[Row]] = {}
    folder = path.parent.resolve()
    for line in reader:
        if None in line or None in line.values():
            raise BadManifest(
                f"Line {reader.line_num} of {path.name} has not as many fields as the first one.",
                "Quote a value that holds a comma, and write a comma also before an empty one.",
            )
        if name := line["path"].strip():
            labels = {label: text for label in LABELS if (text := _label(line, label))}
            group = line.get("group", "").strip() or None
            rows.setdefault((folder / name).resolve(), []).append(Row(name, labels, group))
    return rows


def _label(line: dict[str, str], name: str) -> str:
    """What a line says of a label, under either name; empty where it says nothing."""
    columns = name, OTHER_NAMES.get(name, name)
    return next(filter(None, (tidied(line.get(column, "")) for column in columns)), "")
