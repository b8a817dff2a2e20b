"""What is loaded beforehand is all that searches of a mapped index need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from cbmir.index import direct, exact, file, loading, lookup, visit
from cbmir.index.stamp import Stamp

loading.load()
kernels = (direct.search, lookup.places, lookup.told, visit.nearest)
loaded = [len(kernel.signatures) for kernel in kernels]
file.write(path := Path(sys.argv[1]), Stamp("net", 1, ()), exact.build(np.arange(900), np.eye(900, 5, dtype="f4")))
index = file.read(path, "net")[1]
for allowed in (None, np.array([7]), np.arange(800)):
    assert index.search(np.ones((1, 5), np.float32), 3, allowed)[0]
assert index.contains(np.array([3, 950])).tolist() == [True, False]
print(min(loaded), [len(kernel.signatures) for kernel in kernels] == loaded)
"""


def test_after_loading_no_search_of_a_mapped_index_waits_for_machine_code(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "net.index")]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() == ["1", "True"]
