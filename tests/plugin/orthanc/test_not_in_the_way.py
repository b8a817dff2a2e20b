"""A cbmir that does not answer keeps neither a C-STORE nor anybody else waiting."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import Cbmir

Following = Callable[..., Any]
MakeStudy = Callable[..., list[bytes]]
Wait = Callable[[Callable[[], bool]], None]


def store(orthanc: Any, folder: Path) -> None:
    """Send all files of a folder over one association (PS3.4, B)."""
    command = ["storescu", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port), "+sd", str(folder)]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    subprocess.run(command, check=True, capture_output=True, timeout=30, env=environment)


@pytest.mark.skipif(which("storescu") is None, reason="needs dcmtk: run `make services`")
def test_nobody_waits_for_a_cbmir_that_does_not_answer(
    cbmir: Cbmir, following: Following, make_study: MakeStudy, wait: Wait, tmp_path: Path
) -> None:
    folder = tmp_path / "objects"
    folder.mkdir()
    for number, data in enumerate(make_study(40)):
        (folder / f"{number}.dcm").write_bytes(data)
    cbmir.held.clear()
    orthanc = following(cbmir)
    one = orthanc.send(make_study(1)[0])
    wait(lambda: cbmir.holding == 1)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, orthanc, one) for _ in range(4)]
        wait(lambda: cbmir.holding == 5)
        store(orthanc, folder)
        wait(lambda: orthanc.get("/cbmir/status")["queued"] == 41)
        assert len(orthanc.get("/instances")) == 41
        assert cbmir.holding == 5
        cbmir.held.set()
        assert [each.result() for each in asked] == [202] * 4
    cbmir.wait_for(dict.fromkeys(orthanc.get("/instances"), "stored"))


def ask(orthanc: Any, id_: str) -> int:
    url = f"{orthanc.url}/cbmir/similar/instances/{id_}"
    return requests.get(url, auth=orthanc.auth, timeout=30).status_code


def test_orthanc_ends_quickly_while_cbmir_does_not_answer(cbmir: Cbmir, following: Following, wait: Wait) -> None:
    cbmir.held.clear()
    orthanc = following(cbmir)
    wait(lambda: cbmir.holding == 1)
    orthanc.process.terminate()
    assert orthanc.process.wait(5) == 0
    assert cbmir.holding == 1
