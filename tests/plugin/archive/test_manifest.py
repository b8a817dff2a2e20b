"""Labels from manifests and from folder names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbmir.archive.folder import Source, find_sources
from cbmir.archive.manifest import FolderLabels, Manifest
from cbmir.errors import BadManifest, ConflictingLabels
from cbmir.settings import Settings
from cbmir.types import Labelling, LabelOrigin


def manifest(folder: Path, text: str) -> Manifest:
    (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return Manifest.read(folder / "manifest.csv")


def source(folder: Path, name: str, settings: Settings) -> Source:
    (folder / name).write_bytes(b"x")
    (found,) = find_sources([folder / name], settings)
    assert isinstance(found, Source)
    return found


def test_a_row_is_found_by_its_path_relative_to_the_manifest(tmp_path: Path, settings: Settings) -> None:
    read = manifest(tmp_path, "path,modality,subclass,group,scanner\n./a.png,mri, glioma ,p1,X\nb.png,xray,,,\n")
    assert read.of(source(tmp_path, "a.png", settings)) == Labelling(
        {"modality": "mri", "subclass": "glioma"}, "p1", LabelOrigin.MANIFEST
    )
    assert read.of(source(tmp_path, "b.png", settings)) == Labelling(
        {"modality": "xray"}, None, LabelOrigin.MANIFEST
    )
    assert read.of(source(tmp_path, "c.png", settings)) is None


def test_where_a_picture_comes_from_has_two_names(tmp_path: Path, settings: Settings) -> None:
    rows = "a.png,mri,north,\nb.png,mri,,south\nc.png,mri,north,south\nd.png,mri,,\n"
    read = manifest(tmp_path, f"path,modality,source,source_repo\n{rows}")
    found = {name: read.of(source(tmp_path, f"{name}.png", settings)) for name in "abcd"}
    assert {name: each and each.labels.get("source") for name, each in found.items()} == {
        "a": "north", "b": "south", "c": "north", "d": None,
    }  # fmt: skip


def test_a_break_within_a_cell_is_a_blank(tmp_path: Path, settings: Settings) -> None:
    labelling = manifest(tmp_path, 'path,subclass\na.png,"brain\r\nglioma"\n').of(
        source(tmp_path, "a.png", settings)
    )
    assert labelling is not None
    assert labelling.labels == {"subclass": "brain glioma"}


def test_two_labels_are_a_conflict_and_a_repeated_line_is_not(tmp_path: Path, settings: Settings) -> None:
    read = manifest(tmp_path, "path,subclass\na.png,one\na.png,two\nb.png,one\nb.png,one\n")
    with pytest.raises(ConflictingLabels, match=r"a\.png stands in manifest\.csv 2 times"):
        read.of(source(tmp_path, "a.png", settings))
    assert read.of(source(tmp_path, "b.png", settings)) is not None


def test_missing_files_are_named(tmp_path: Path) -> None:
    (missing,) = manifest(tmp_path, "path,subclass\ngone.png,one\n").missing()
    assert missing.error.reason == "gone.png stands in manifest.csv but is not there."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"file,label\na.png,x\n", "no column `path`; its columns are: file, label"),
        (b"", "its columns are: none"),
        (b"path;subclass\na.png;x\n", "its columns are: path;subclass"),
        (b"path,label\na.png,x\n", "says nothing of its files; its columns are: path, label"),
        (
            b"path,subclass,group\na.png,x,p1\nb.png,cyst, left,p2\n",
            "Line 3 of manifest.csv has not as many fields",
        ),
        (b"path,subclass,group\na.png,x,p1\nb.png,cy", "Line 3 of manifest.csv has not as many fields"),
        (b"path,subclass\n\xff\xfe,x\n", "cannot be read as CSV in UTF-8"),
        (b'path,subclass\n"a.png,x\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(data)
    with pytest.raises(BadManifest, match=said):
        Manifest.read(tmp_path / "manifest.csv")


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"gone\.csv cannot be read: No such file or directory"):
        Manifest.read(tmp_path / "gone.csv")


def test_folders_name_modality_and_subclass(tmp_path: Path) -> None:
    def labels(name: str) -> dict[str, str] | None:
        found = FolderLabels().of(Source(name, str(tmp_path), bytes))
        return found and found.labels

    assert labels("mri/glioma/1.png") == {"modality": "mri", "subclass": "glioma"}
    assert labels("2024/mri/glioma/1.png") == {"modality": "mri", "subclass": "glioma"}
    assert labels("glioma/1.png") == {"subclass": "glioma"}
    assert labels("1.png") is None
