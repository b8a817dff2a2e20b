"""Who only extracts and retrieves never imports torch: it takes seconds to load, and hundreds of megabytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbmir.encoders.graph import INPUT, Graph

COMMAND = """
import sys
from cbmir.cli import main
sys.argv = ["cbmir", *sys.argv[1:]]
try:
    main.main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
assert "onnxruntime" in sys.modules, "it did not encode"
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""

ROLE = """
import sys
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir_workers import client, duties, queues, tasks, worker

settings = Settings.from_environment()
bench = tasks.Bench(settings, Database(settings.resolved_database_url), client.make_app(settings))
tasks.register(bench)
duties.make_ready(queues.ROLES[sys.argv[1]])
worker._warm(bench, queues.ROLES[sys.argv[1]])
assert "onnxruntime" in sys.modules or sys.argv[1] == "index", "it is not warm"
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""


def a_network() -> bytes:
    """In ONNX: four numbers of a picture of 8 x 8."""
    graph, random = Graph(1, 8), np.random.default_rng(0)
    weight, bias = (random.normal(size=shape).astype(np.float32) for shape in ((4, 64), (4,)))
    return graph.model(graph.dense(graph.flat(INPUT), weight, bias), 4)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each `installation` is a copy of."""
    tmp_path = tmp_path_factory.mktemp("prepared")
    folder = tmp_path / "images"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (8, 24, 24), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "net.onnx").write_bytes(a_network())
    data = tmp_path / "data"
    for command in (("ingest", folder), ("encoders", "add", tmp_path / "net.onnx", "--input", 8, "--channels", 1)):
        ran = subprocess.run(
            [sys.executable, "-m", "cbmir", *map(str, command), "--data", str(data)], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
    return data


@pytest.fixture
def installation(prepared: Path, tmp_path: Path) -> Path:
    """A data folder with a few images and an encoder, whose features are still to be extracted."""
    return shutil.copytree(prepared, tmp_path / "data")


def run(code: str, data: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CBMIR_DATA": str(data)}
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran


def test_extract_and_query_import_no_torch(installation: Path, tmp_path: Path) -> None:
    assert json.loads(run(COMMAND, installation, "extract", "--json").stdout)["extracted"] == 8
    stranger = tmp_path / "stranger.png"  # it has no stored feature that could answer for it
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 24), np.uint8)).save(stranger)
    answer = json.loads(run(COMMAND, installation, "query", stranger, "--json").stdout)
    assert len(answer["hits"]) == 5


@pytest.mark.parametrize("role", ["retrieve", "index", "archive"])
def test_a_worker_that_is_ready_has_imported_no_torch(installation: Path, role: str) -> None:
    run(ROLE, installation, role)
