"""The corpus of real objects in ../shared/dicom: each is converted, or refused for the right reason."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path

import pytest

from cbmir.errors import UnusableInput
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

pytestmark = pytest.mark.shared

LONGEST_SECONDS = 10.0

CONVERTED_AGAINST_EXPECTATION = {
    "broken/made/png_renamed.dcm": "is a PNG by its content",
    "broken/made/wrong_ts_big_endian.dcm": "its elements tell that they are little endian, and so are its pixels",
    "broken/real/pydicom+pydicom__JPEG-lossy.dcm": "12-bit JPEG",
    "broken/real/pydicom+pylibjpeg-data__RG2_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__MR3_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__MR4_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__RG3_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__SC1_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__XA1_JPLY.dcm": "12-bit JPEG",
    "broken/real/robyoung+dicom-test-files__OT-PAL-8-face.dcm": "without a meta header: its encoding is guessed",
    "broken/real/wearemothership+dicom-test-files__54-implicit-file-meta-info.dcm": "read without being forced",
    "constructed/eeg_routine_scalp_waveform.dcm": "a waveform is drawn",
    "nonimage/pydicom+pydicom__waveform_ecg.dcm": "a waveform is drawn",
    "nonimage/robyoung+dicom-test-files__emri_small_jpeg_2k_lossless_too_short.dcm": "whole",
}

CODES = {
    "no-pixels": (
        "broken/made/no_pixeldata.dcm",
        "broken/real/pydicom+pydicom__ExplVR_BigEndNoMeta.dcm",
        "broken/real/pydicom+pydicom__ExplVR_LitEndNoMeta.dcm",
        "broken/real/pydicom+pydicom__rtstruct.dcm",
    ),
    "undecodable": (
        "broken/made/photometric_unknown.dcm",
        "broken/made/private_ts.dcm",
        "broken/made/text_in_uid.dcm",
    ),
    "not-a-picture": (
        "broken/made/random_bytes.dcm",
        "broken/made/text_renamed.dcm",
        "broken/made/zip_renamed.dcm",
        "broken/real/pydicom+pydicom__no_meta.dcm",
    ),
    "implausible-size": ("broken/made/rows_65535.dcm", "broken/made/rows_zero.dcm"),
    "broken-file": ("nonimage/pydicom+pydicom__rtplan_truncated.dcm",),
}
"""Codes other than broken-file for what is broken, and no-pixels for what has none."""


def expected_outcome(path: str, expected: str) -> str:
    if path in CONVERTED_AGAINST_EXPECTATION:
        return "converted"
    if expected.startswith("yes"):
        return "converted"
    listed = next((code for code, paths in CODES.items() if path in paths), None)
    return listed or ("no-pixels" if expected.startswith("n/a") else "broken-file")


def is_tried(path: str, place: int) -> bool:
    """All but most slices of the long series, which are alike: of these every eighth."""
    return not path.startswith("series/") or place % 8 == 0 or "DIRFILE" in path


def outcome(path: Path, name: str) -> str:
    try:
        found = convert(path.read_bytes(), name, Settings(), "0" * 64)
    except UnusableInput as error:
        named = name in error.reason and error.remedy
        return error.code if named else f"{error.code}, in bad words: {error.sentence}"
    return "converted" if found.pictures else "no picture"


def test_every_object_has_the_right_outcome(shared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (shared / "dicom" / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        rows = [row for place, row in enumerate(csv.DictReader(manifest)) if is_tried(row["path"], place)]
    wrong, slow, outcomes = [], [], Counter[str]()
    for row in rows:
        began = time.perf_counter()
        found = outcome(shared / "dicom" / row["path"], row["path"])
        if time.perf_counter() - began > LONGEST_SECONDS:
            slow.append(row["path"])
        outcomes[found] += 1
        if found != expected_outcome(row["path"], row["expected"]):
            wrong.append((row["path"], row["expected"], found))
    assert not wrong
    assert not slow
    assert outcomes["converted"] > 0.75 * len(rows) > 250
    assert capfd.readouterr() == ("", "")
