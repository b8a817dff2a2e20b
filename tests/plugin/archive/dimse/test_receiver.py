"""The Storage SCP, with dcmtk as its peer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom

from cbmir.archive.dimse.receiver import Receiver

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_it_answers_an_echo(receive: Callable[..., Receiver], dcmtk: Run) -> None:
    assert dcmtk("echoscu", "-aec", "CBMIR", "127.0.0.1", receive().port).returncode == 0


def test_a_sent_object_lands_whole_under_its_uid(
    receive: Callable[..., Receiver],
    objects: Callable[..., list[Path]],
    dcmtk: Run,
    data_set: Callable[[Path], bytes],
) -> None:
    receiver, files = receive(), objects(3)
    assert dcmtk("storescu", "-aec", "CBMIR", "-xe", "127.0.0.1", receiver.port, *files).returncode == 0
    for file in files:
        landed = receiver.landing.folder / f"{pydicom.dcmread(file).SOPInstanceUID}.dcm"
        assert data_set(landed) == data_set(file)
        assert pydicom.dcmread(landed).file_meta.SourceApplicationEntityTitle == "STORESCU"
