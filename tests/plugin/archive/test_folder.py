"""Which files are found, and under which names."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from cbmir.archive.folder import Source, Unlisted, count_sources, find_sources, sha256_of, size_of, sources_at
from cbmir.errors import NotFound
from cbmir.settings import Settings


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(entries: list[Source | Unlisted]) -> list[str]:
    return [each.file_name for each in entries]


def test_a_folder_is_walked_in_order_without_what_systems_leave_behind(tmp_path: Path, settings: Settings) -> None:
    for name in ("b/2.dcm", "a/1", "Thumbs.db", ".hidden", "__MACOSX/x", "DICOMDIR", ".git/y"):
        write(tmp_path / name)
    assert names(list(find_sources([tmp_path], settings))) == ["a/1", "b/2.dcm"]


def test_they_are_counted_without_being_opened_but_for_the_zips_that_are_named(
    tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path / "in" / "1")
    for packed in (tmp_path / "named.zip", tmp_path / "in" / "found.zip"):
        with zipfile.ZipFile(packed, "w") as members:
            members.writestr("a", "a")
            members.writestr("b", "b")
    paths = [tmp_path / "in", tmp_path / "named.zip", tmp_path / "missing"]
    assert (count_sources(paths, settings), len(list(find_sources(paths, settings)))) == (2 + 2 + 1, 3 + 2 + 1)


def test_a_file_is_named_by_its_base_name_and_knows_its_path(tmp_path: Path, settings: Settings) -> None:
    path = write(tmp_path / "deep" / "one.png", b"bytes")
    (source,) = find_sources([path], settings)
    assert isinstance(source, Source)
    assert (source.file_name, source.path, source.read()) == ("one.png", path.resolve(), b"bytes")


def test_a_large_file_is_not_read_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "big", b"12345")
    (source,) = find_sources([path], Settings(data=tmp_path, max_file_bytes=4))
    assert isinstance(source, Source)
    assert source.read() == path
    assert (size_of(path), sha256_of(path)) == (5, sha256_of(b"12345"))


def dicomdir(folder: Path, *files: list[str]) -> Path:
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    directory.DirectoryRecordSequence = [Dataset() for _ in files]
    for record, parts in zip(directory.DirectoryRecordSequence, files, strict=True):
        record.ReferencedFileID = parts
    path = folder / "DICOMDIR"
    directory.save_as(path, enforce_file_format=True)
    return path


def test_a_dicomdir_gives_the_files_it_lists(
    tmp_path: Path, settings: Settings, make_dicom: Callable[..., bytes]
) -> None:
    write(tmp_path / "IMAGES" / "A", make_dicom(1))
    write(tmp_path / "IMAGES" / "UNLISTED", make_dicom(2))
    path = dicomdir(tmp_path, ["IMAGES", "A"], ["IMAGES", "GONE"])
    found, missing = find_sources([path], settings)
    assert isinstance(found, Source)
    assert found.file_name == "IMAGES/A"
    assert isinstance(missing, Unlisted)
    assert "IMAGES/GONE" in missing.error.reason


def test_a_dicomdir_opens_nothing_outside_its_folder(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "SECRET")
    (tmp_path / "medium").mkdir()
    path = dicomdir(tmp_path / "medium", ["XX", "SECRET"])
    path.write_bytes(path.read_bytes().replace(b"XX\\SECRET", b"..\\SECRET"))
    (entry,) = find_sources([path], settings)
    assert isinstance(entry, Unlisted)
    assert entry.file_name == "../SECRET"


def test_a_broken_dicomdir_is_said_to_be_broken(tmp_path: Path, settings: Settings) -> None:
    (entry,) = find_sources([write(tmp_path / "DICOMDIR", b"nonsense")], settings)
    assert isinstance(entry, Unlisted)
    assert "DICOMDIR" in entry.error.reason


def test_a_file_is_found_again_where_it_came_from(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "a!b.png").write_bytes(b"plain")
    with zipfile.ZipFile(tmp_path / "some!.zip", "w") as archive:
        archive.writestr("x/y!z.png", b"member")
    for entry in list(find_sources([tmp_path], settings)):
        assert isinstance(entry, Source)
        (found,) = sources_at(entry.origin, entry.file_name, settings)
        assert isinstance(found, Source)
        assert (found.origin, found.file_name, found.read()) == (entry.origin, entry.file_name, entry.read())


def test_an_origin_says_the_same_wherever_one_works(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "inbox" / "a" / "1.png")
    monkeypatch.chdir(tmp_path)
    for given in ("inbox", "inbox/a/1.png", "."):
        (entry,) = find_sources([Path(given)], settings)
        assert Path(entry.origin) == tmp_path / "inbox" / "a" / "1.png"


@pytest.mark.parametrize("gone", ["", "none.png", "some.zip!none.png", "none.zip!a.png", "."])
def test_what_is_gone_is_said_to_be(tmp_path: Path, settings: Settings, gone: str) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("a.png", b"member")
    with pytest.raises(NotFound, match="no longer where it was"):
        list(sources_at(str(tmp_path / gone) if gone else "", "a.png", settings))


def test_a_zip_that_was_made_again_is_read_again(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "some.zip"
    for content in (b"first", b"the second"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", content)
        (found,) = sources_at(f"{path}!a.png", "a.png", settings)
        assert isinstance(found, Source)
        assert found.read() == content


def test_what_is_no_regular_file_is_refused_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a pipe")
    write(tmp_path / "b.png", b"bytes")
    pipe, png = find_sources([tmp_path], Settings(data=tmp_path))
    assert isinstance(pipe, Unlisted)
    assert "no regular file" in pipe.error.reason
    assert isinstance(png, Source)
    (device,) = find_sources([Path("/dev/zero")], Settings(data=tmp_path))
    assert isinstance(device, Unlisted)


def test_a_link_to_a_folder_is_said(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.png", b"bytes")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "link").symlink_to(tmp_path / "elsewhere")
    (found,) = find_sources([tmp_path / "inbox"], Settings(data=tmp_path))
    assert isinstance(found, Unlisted)
    assert "link is a link to a folder" in found.error.reason


def test_a_name_that_is_no_utf8_can_be_printed_and_found_again(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.png"))
    write(path, b"bytes")
    (source,) = find_sources([tmp_path], Settings(data=tmp_path))
    assert isinstance(source, Source)
    assert source.file_name == "x\\udcff.png"
    source.origin.encode()
    (again,) = sources_at(source.origin, source.file_name, Settings(data=tmp_path))
    assert isinstance(again, Source)
    assert (again.origin, again.read()) == (source.origin, b"bytes")
