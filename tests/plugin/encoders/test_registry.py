from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cbmir.encoders import registry
from cbmir.errors import NotFound

PLUGGED_IN = """
import hashlib, sys
from pathlib import Path
from cbmir.encoders import registry

weights = Path(sys.argv[1])
assert {"cnn-autoencoder", "mean-grey"} <= {*registry.architectures()}
sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
data, name, preprocessing = registry.load("mean-grey", weights, sha256, {"side": 8})
print(preprocessing.side, data, name)
"""


def test_the_papers_encoder_is_known() -> None:
    assert "cnn-autoencoder" in registry.architectures()


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="transformer") as raised:
        registry.load("transformer", tmp_path / "w", "0" * 64, {"side": 8})
    assert "cnn-autoencoder" in raised.value.remedy


def test_another_distribution_adds_an_architecture(tmp_path: Path) -> None:
    (tmp_path / "mean_grey.py").write_text("def load(*arguments):\n    return arguments\n")
    metadata = tmp_path / "mean_grey-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-grey\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[cbmir.encoders]\nmean-grey = mean_grey:load\n")
    (tmp_path / "w").write_bytes(b"weights")
    done = subprocess.run(
        [sys.executable, "-c", PLUGGED_IN, str(tmp_path / "w")],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "8 b'weights' w"


def test_torch_is_imported_only_to_encode() -> None:
    modules = ("encoders.base", "encoders.registry", "training.request", "services.features.extract")
    code = f"import sys, {', '.join(f'cbmir.{name}' for name in modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
