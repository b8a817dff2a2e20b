"""What the web may reach."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
import cbmir_web, cbmir_web.commands, cbmir_web.serving
print(sorted(name for name in sys.modules if name == "torch" or name.startswith("cbmir_workers.")))
"""


def test_the_web_reaches_no_torch_and_of_the_workers_only_the_client() -> None:
    ended = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=60)
    assert eval(ended.stdout) == [
        "cbmir_workers.client",
        "cbmir_workers.embedded_redis",
        "cbmir_workers.queues",
    ]
