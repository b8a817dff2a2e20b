"""The table of what is converted counts as `cbmir convert` does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from cbmir.archive.folder import find_sources
from cbmir.dicom.rendering import Rendering
from cbmir.progress import Silence
from cbmir.services.conversion.develop import Wanted, develop
from cbmir.settings import Settings

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from conversion_coverage import outcome


def test_files_are_refused_for_the_same_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "picture.png")
    (folder / "cut.zip").write_bytes(b"PK\3\4" + b"\0" * 40)  # looked into as a zip, and damaged
    (folder / "text.dcm").write_text("no picture")
    settings = Settings()
    listed = [outcome(source)[1] for source in find_sources([folder], settings)]
    entries = develop([folder], tmp_path / "out", Wanted(Rendering()), settings, Silence())
    assert listed == [entry.get("error", {}).get("code", "") for entry in entries]
    assert listed == ["broken-file", "", "not-a-picture"]
