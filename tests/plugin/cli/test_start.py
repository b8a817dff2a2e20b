"""How the command line is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

SCRIPT = """
print("begun")
from cbmir.cli.main import main
if __name__ == "__main__":
    main()
"""


def test_processes_that_convert_do_not_begin_its_script_again(tmp_path: Path) -> None:
    script, picture = tmp_path / "cbmir", tmp_path / "grey.png"
    script.write_text(SCRIPT)
    Image.new("L", (16, 16), 100).save(picture)
    environment = {**os.environ, "CBMIR_DATA": str(tmp_path / "data")}
    words = [sys.executable, "-u", str(script), "ingest", str(picture)]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert "1 ingested" in ended.stdout
    assert ended.stdout.count("begun") == 1
