"""Zips are looked into without being unpacked, and bombs are not opened."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from cbmir.archive.folder import Source, Unlisted, find_sources
from cbmir.errors import BrokenFile, CbmirError
from cbmir.settings import Settings


def make_zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_members_are_found_by_the_zips_content_not_its_name(tmp_path: Path, settings: Settings) -> None:
    path = make_zip(tmp_path / "export.bin", **{"a/1.dcm": b"one", "__MACOSX/a": b"", ".x": b"", "DICOMDIR": b""})
    (source,) = find_sources([path], settings)
    assert isinstance(source, Source)
    assert (source.file_name, source.origin, source.read()) == ("a/1.dcm", f"{path}!a/1.dcm", b"one")


def test_a_members_name_is_shown_without_what_steers_a_terminal(tmp_path: Path, settings: Settings) -> None:
    name = "a\x1b[2J\n\u202e.dcm"
    (source,) = find_sources([make_zip(tmp_path / "some.zip", **{name: b"one"})], settings)
    assert isinstance(source, Source)
    assert source.file_name == "a[2J.dcm"
    assert source.origin.endswith(f"!{name}"), "by its own name it is found again"


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path, settings: Settings) -> None:
    path = make_zip(tmp_path / "bomb.zip", zeros=bytes(300 * 1024 * 1024))
    (entry,) = find_sources([path], settings)
    assert isinstance(entry, Unlisted)
    assert entry.error.code == "unsafe-archive"
    assert "bomb.zip" in entry.error.reason


def test_a_cut_zip_is_said_to_be_damaged(tmp_path: Path, settings: Settings) -> None:
    path = make_zip(tmp_path / "cut.zip", one=b"1" * 1000)
    path.write_bytes(path.read_bytes()[:60])
    (entry,) = find_sources([path], settings)
    assert isinstance(entry, Unlisted)
    assert isinstance(entry.error, BrokenFile)


def test_a_damaged_member_is_refused_and_the_others_are_read(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("bad", b"to be changed")
        archive.writestr("good", b"untouched")
    path.write_bytes(path.read_bytes().replace(b"to be changed", b"TO be changed"))
    bad, good = find_sources([path], settings)
    assert isinstance(good, Source)
    assert good.read() == b"untouched"
    assert isinstance(bad, Source)
    with pytest.raises(BrokenFile, match="bad is damaged"):
        bad.read()


def test_an_encrypted_member_says_so(tmp_path: Path, settings: Settings) -> None:
    path = make_zip(tmp_path / "locked.zip", secret=b"secret")
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    for offset in (6, central + 8):  # general purpose bit flag of the local and of the central header
        data[offset : offset + 2] = struct.pack("<H", 1)
    path.write_bytes(bytes(data))
    (source,) = find_sources([path], settings)
    assert isinstance(source, Source)
    with pytest.raises(CbmirError, match="is encrypted"):
        source.read()


def test_a_member_that_is_larger_than_it_says_is_not_unpacked_further(tmp_path: Path, settings: Settings) -> None:
    path = make_zip(tmp_path / "liar.zip", zeros=bytes(64 * 1024 * 1024))
    data = path.read_bytes().replace(struct.pack("<I", 64 * 1024 * 1024), struct.pack("<I", 10))
    path.write_bytes(data)
    (source,) = find_sources([path], settings)
    assert isinstance(source, Source)
    with pytest.raises(BrokenFile, match="zeros is damaged"):
        source.read()


def test_methods_that_unpack_in_one_step_are_refused(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "bzip2.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"packed")
    (source,) = find_sources([path], settings)
    assert isinstance(source, Source)
    with pytest.raises(BrokenFile, match="packed by a method that is not read here"):
        source.read()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"name", b"n\xff\xfee"),  # said to be UTF-8 and is not
        (b"name", b"\0\0\0\0"),
        (b"name", b"././"),
        (b"name", b"...."),
        (b"PK\x01\x02\x14", b"PK\x01\x02\x63"),
        (b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x63"),  # needs version 9.9 to be unpacked
    ],
)
def test_a_strange_zip_does_not_end_the_batch(tmp_path: Path, settings: Settings, old: bytes, new: bytes) -> None:
    path = make_zip(tmp_path / "strange.zip", name=b"content")
    data = path.read_bytes().replace(old, new)
    if b"\xff" in new:
        central = data.index(b"PK\x01\x02")
        data = data[: central + 9] + b"\x08" + data[central + 10 :]  # the flag for names in UTF-8
    path.write_bytes(data)
    (tmp_path / "zz.png").write_bytes(b"after it")
    *_, last = find_sources([tmp_path], settings)
    assert last.file_name == "zz.png"
