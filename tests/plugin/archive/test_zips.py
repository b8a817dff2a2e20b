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
