"""C-STORE of 512 KB objects over loopback: `cbmir archive serve` beside Orthanc and dcmtk's storescp, in one run.

    python benchmarks/receive.py [--objects 200] [--rounds 5] [--folder DIR] [--json FILE.json]

dcmtk's storescu sends, with TCP_NODELAY=1, over one association and over eight at one time. All servers run from
the start; each round asks each of them, in turn, to take the same number of objects with new UIDs. What is told:
objects a second (median, and the range over the rounds), objects per second of the server's processor time, and the
ratio to Orthanc of the same round (median). Needs Debian's orthanc and dcmtk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pynetdicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cbmir.archive.dimse.landing import Fsync

SIDE = 512
UID_LENGTH = 30
ASSOCIATIONS = (1, 8)
QUICK = {**os.environ, "TCP_NODELAY": "1"}
SETTLED = 1.5
"""Seconds after which storescp's children have ended and count with it, and the disk is at rest."""

GOAL = 1.5
"""Times Orthanc's rate, over one association."""


@dataclass(frozen=True)
class Server:
    """One that receives: its name, AE title, port, process, and where its files lie."""

    name: str
    aet: str
    port: int
    pid: int
    folder: Path


@dataclass(frozen=True)
class Measurement:
    """What one server did in one round."""

    server: str
    associations: int
    per_second: float
    per_cpu_second: float


def main() -> int:
    """Measure, print, write; 1 if the default policy stays below the goal."""
    arguments = read_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, ExitStack() as stack:
        servers = [stack.enter_context(each) for each in starts(Path(folder))]
        found = list(measured(servers, Path(folder) / "objects", arguments.objects, arguments.rounds))
    report = {"machine": machine(), "objects": arguments.objects, "rounds": arguments.rounds, "rows": rows(found)}
    print_report(report)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({**report, "measurements": [asdict(each) for each in found]}, indent=2)
        )
    ours = next(row for row in report["rows"] if row["server"] == f"cbmir ({Fsync.ASSOCIATION})")
    return int(ours["to_orthanc"] < GOAL)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=200, help="objects that each server takes in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the servers write; some hundreds of MB")
    parser.add_argument("--json", type=Path, help="file for the figures as JSON")
    return parser.parse_args()


def starts(folder: Path) -> list[contextmanager[Server]]:
    """Every server that takes part."""
    return [orthanc(folder / "orthanc"), storescp(folder / "storescp"), *(ours(folder / f, f) for f in Fsync)]


@contextmanager
def ours(folder: Path, fsync: Fsync) -> Iterator[Server]:
    port = free_port()
    command = [Path(sys.executable).parent / "cbmir", "--data", folder, "archive", "serve", "--port", str(port)]
    options = ["--fsync", fsync, "--keep-free", "0"]
    with running([*command, *options], port) as process:
        yield Server(f"cbmir ({fsync})", "CBMIR", port, process.pid, folder / "received")


@contextmanager
def storescp(folder: Path) -> Iterator[Server]:
    port = free_port()
    folder.mkdir()
    with running(["storescp", "--fork", "+B", "-od", folder, str(port)], port) as process:
        yield Server("storescp", "STORESCP", port, process.pid, folder)


@contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    port = free_port()
    folder.mkdir()
    kept = {"StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage")}
    settings = {**kept, "HttpPort": free_port(), "DicomPort": port, "DicomAlwaysAllowStore": True}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    with running([program, folder / "orthanc.json"], port) as process:
        yield Server("Orthanc", "ORTHANC", port, process.pid, folder / "storage")


@contextmanager
def running(command: list[object], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server's process, once it listens."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen([str(each) for each in command], env=QUICK, stdout=quiet, stderr=quiet) as process:
        deadline = time.monotonic() + 60
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not start")
            time.sleep(0.1)
        yield process
        process.send_signal(signal.SIGTERM)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measured(servers: list[Server], folder: Path, objects: int, rounds: int) -> Iterator[Measurement]:
    """All servers, interleaved, in every round; the first round warms up and does not count."""
    template = drawn()
    folder.mkdir()
    for number in range(rounds + 1):
        for associations in ASSOCIATIONS:
            for server in servers:
                files = written(template, folder, objects)
                found = measure(server, files, associations)
                if number:
                    yield found


def drawn() -> bytes:
    """An MR object of 512 KB of noise, whose UID is a row of nines."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "9" * UID_LENGTH
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "P", "Nobody", "MR"
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.random.default_rng(0).integers(0, 4095, (SIDE, SIDE), dtype=np.uint16).tobytes()
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def written(template: bytes, folder: Path, objects: int) -> list[Path]:
    """Files with UIDs that no server has seen."""
    files = [folder / f"{number}.dcm" for number in range(objects)]
    for file in files:
        uid = f"1.2.{int.from_bytes(os.urandom(11)):026}"[:UID_LENGTH].ljust(UID_LENGTH, "1")
        file.write_bytes(template.replace(b"9" * UID_LENGTH, uid.encode()))
    return files


def measure(server: Server, files: list[Path], associations: int) -> Measurement:
    """Send the files, shared out over so many associations at one time; what came is counted, then removed."""
    before = cpu_seconds(server.pid)
    started = time.perf_counter()
    target = ["-aec", server.aet, "127.0.0.1", str(server.port)]
    senders = [
        subprocess.Popen(["storescu", *target, *map(str, files[first::associations])], env=QUICK)
        for first in range(associations)
    ]
    if any(sender.wait() for sender in senders):
        raise SystemExit(f"{server.name} did not take everything")
    seconds = time.perf_counter() - started
    time.sleep(SETTLED)
    spent = cpu_seconds(server.pid) - before
    if server.name != "Orthanc":
        arrived = [path for path in server.folder.iterdir() if path.is_file()]
        assert len(arrived) == len(files), f"{server.name} lost something"
        for path in arrived:
            path.unlink()
    return Measurement(server.name, associations, len(files) / seconds, len(files) / max(spent, 0.01))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children, those that have ended and those that live."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, numbers[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_seconds, map(int, children)))


def rows(found: list[Measurement]) -> list[dict[str, object]]:
    """Medians of each server and number of associations, with the ratio to Orthanc of the same round."""
    kinds = dict.fromkeys((each.server, each.associations) for each in found)
    return [row(found, *kind) for kind in kinds]


def row(found: list[Measurement], server: str, associations: int) -> dict[str, object]:
    def of(name: str, count: int) -> list[Measurement]:
        return [each for each in found if (each.server, each.associations) == (name, count)]

    own = of(server, associations)
    rates = [each.per_second for each in own]
    beside = [each.per_second for each in of("Orthanc", associations)]
    alone = [each.per_second for each in of(server, 1)]
    return {
        "server": server,
        "associations": associations,
        "per_second": round(statistics.median(rates), 1),
        "least": round(min(rates), 1),
        "most": round(max(rates), 1),
        "per_cpu_second": round(statistics.median(each.per_cpu_second for each in own), 1),
        "to_orthanc": round(statistics.median(a / b for a, b in zip(rates, beside, strict=True)), 2),
        "to_one_association": round(statistics.median(a / b for a, b in zip(rates, alone, strict=True)), 2),
    }


def machine() -> dict[str, str]:
    """What was measured with."""
    said = subprocess.run(["storescu", "--version"], capture_output=True, text=True, check=False).stdout
    dcmtk = re.search(r"dcmtk: storescu v(\S+)", said)
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "pynetdicom": pynetdicom.__version__,
        "dcmtk": dcmtk[1] if dcmtk else "unknown",
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }


def print_report(report: dict[str, object]) -> None:
    """The figures as a table."""
    print(", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    print(f"{report['objects']} objects of 512 KB, {report['rounds']} rounds; objects a second: median (range)")
    head = ("server", "assoc.", "objects/s", "", "per CPU s", "x Orthanc", "x one assoc.")
    print(f"{head[0]:20}{head[1]:>7}{head[2]:>11}{head[3]:>18}{head[4]:>11}{head[5]:>11}{head[6]:>14}")
    for each in report["rows"]:
        spread = f"({each['least']}-{each['most']})"
        print(
            f"{each['server']:20}{each['associations']:>7}{each['per_second']:>11}{spread:>18}"
            f"{each['per_cpu_second']:>11}{each['to_orthanc']:>11}{each['to_one_association']:>14}"
        )


if __name__ == "__main__":
    sys.exit(main())
