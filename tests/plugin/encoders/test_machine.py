from __future__ import annotations

import subprocess
import sys

import pytest

from cbmir.encoders import machine

FAULTS = """
import resource, sys
import numpy as np
from cbmir.encoders.machine import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def big():
    np.ones(8_000_000, np.float32)
big()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    big()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    return int(
        subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True, text=True).stdout
    )


def test_there_is_a_core() -> None:
    assert machine.cores() >= 1


@pytest.mark.skipif("glibc" not in str(sys.implementation) and not sys.platform.startswith("linux"), reason="glibc")
def test_kept_memory_is_not_faulted_in_again() -> None:
    assert faults("keep") < faults("give") / 10
