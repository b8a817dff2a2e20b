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

UNDER_NOHUP = """
import signal
from cbmir.cli.main import main
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    main()
finally:
    print([signal.getsignal(each) is signal.default_int_handler for each in (signal.SIGTERM, signal.SIGHUP)])
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


def test_a_closed_terminal_that_is_to_be_passed_over_is() -> None:
    words = [sys.executable, "-c", UNDER_NOHUP, "export", "--help"]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.splitlines()[-1] == "[True, False]"
