"""What tests of ingestion share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder to ingest from."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder
