"""What our script costs Orthanc: objects a second by C-STORE without it, with it, and while cbmir never answers.

    python benchmarks/orthanc_script.py [--objects 400] [--rounds 5]

Each round starts a new Orthanc for each case, in turn. Needs Debian's orthanc, orthanc-python and dcmtk.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

SCRIPT = Path(__file__).resolve().parents[1] / "plugin" / "orthanc" / "cbmir_orthanc.py"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancPython.so"
QUICK = {**os.environ, "TCP_NODELAY": "1"}
"""Of dcmtk, on both sides: else each object waits 45 ms for an acknowledgement."""
CASES = ("without", "answers", "silent")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_objects(folder: Path, count: int) -> None:
    """`count` CT slices of 39 KB, of one series."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / f"{number}.dcm")


@contextmanager
def cbmir(silent: bool) -> Iterator[tuple[int, list[float]]]:
    """A server in cbmir's place: its port, and when each id was told (seconds)."""
    told: list[float] = []
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if silent:
                ended.wait()
            told.extend([time.perf_counter()] * len(said["stored"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, told
        ended.set()
        server.shutdown()


@contextmanager
def orthanc(folder: Path, cbmir_port: int | None) -> Iterator[int]:
    """A new Orthanc, with the script if there is a port to tell; its DICOM port."""
    http, dicom = free_port(), free_port()
    settings: dict[str, object] = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": http,
        "DicomPort": dicom,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }
    if cbmir_port is not None:
        section = {"Url": f"http://127.0.0.1:{cbmir_port}", "Archive": "main"}
        settings |= {"Plugins": [PLUGIN], "PythonScript": str(SCRIPT), "Cbmir": section}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log, env=QUICK)
    try:
        wait_for(f"http://127.0.0.1:{http}/system")
        yield dicom
    finally:
        process.kill()
        process.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def rate(port: int, objects: Path, count: int) -> float:
    """Objects a second over one association."""
    command = ["storescu", "-aec", "ORTHANC", "127.0.0.1", str(port), "+sd", str(objects)]
    began = time.perf_counter()
    subprocess.run(command, check=True, env=QUICK)
    return count / (time.perf_counter() - began)


def measure(case: str, objects: Path, count: int) -> float:
    with tempfile.TemporaryDirectory() as folder, cbmir(case == "silent") as (cbmir_port, told):
        with orthanc(Path(folder), None if case == "without" else cbmir_port) as port:
            found = rate(port, objects, count)
            ended = time.perf_counter()
            if case == "answers":
                while len(told) < count:
                    time.sleep(0.01)
                print(f"   all was told {1000 * (told[-1] - ended):.0f} ms after the last object was stored")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    rates: dict[str, list[float]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as folder:
        write_objects(Path(folder), asked.objects)
        for _ in range(asked.rounds):
            for case in CASES:
                rates[case].append(measure(case, Path(folder), asked.objects))
    for case, found in rates.items():
        print(f"{case:<8} {statistics.median(found):6.0f} objects/s ({min(found):.0f} to {max(found):.0f})")


if __name__ == "__main__":
    main()
