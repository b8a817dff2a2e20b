"""What `archive.py` measures on: drawn objects, a real Orthanc, and an installation with an untrained encoder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import requests
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import cbmir_migrations
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.services.archives.registered import add
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database

SIDE = 256
"""Rows and columns of a drawn object: 128 KB of pixels."""

OBJECTS_PER_STUDY = 100
START_SECONDS = 60
PLUGINS = Path("/usr/share/orthanc/plugins")
SCRIPT = Path(__file__).resolve().parents[1] / "plugin" / "orthanc" / "cbmir_orthanc.py"
QUICK = {**os.environ, "TCP_NODELAY": "1"}
"""Of dcmtk, on both sides: else each object waits 45 ms for an acknowledgement."""


@dataclass(frozen=True)
class Orthanc:
    """One that runs: its base URL, its DICOM port, its process id."""

    url: str
    dicom_port: int
    process_id: int
    username: str = "benchmark"
    password: str = "loopback-only"

    def connection(self, kind: ArchiveKind) -> Connection:
        """How cbmir reaches it by a protocol."""
        address = f"{self.url}/dicom-web" if kind is ArchiveKind.DICOMWEB else self.url
        return Connection("pacs", kind, address, Credentials(username=self.username, password=self.password))

    def ask(self, method: str, path: str) -> requests.Response:
        """One request of its REST API."""
        answer = requests.request(method, self.url + path, auth=(self.username, self.password), timeout=60)
        answer.raise_for_status()
        return answer

    def processor_seconds(self) -> float:
        """What it has used of the processor until now."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def orthanc(folder: Path, cbmir_url: str = "", core: int | None = None) -> Iterator[Orthanc]:
    """A new Orthanc with DICOMweb, for this machine alone, on one core if asked; with cbmir's URL it loads our
    script, too."""
    folder.mkdir(parents=True)
    http, dicom = free_port(), free_port()
    plugins = ["libOrthancDicomWeb.so", *(["libOrthancPython.so"] if cbmir_url else [])]
    told = {"PythonScript": str(SCRIPT), "Cbmir": {"Url": cbmir_url, "Archive": "pacs"}} if cbmir_url else {}
    configuration = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {Orthanc.username: Orthanc.password},
        "OverwriteInstances": True,
        "Plugins": [str(PLUGINS / name) for name in plugins],
        **told,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        command = [*on_cores(core), "Orthanc", str(folder / "orthanc.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=QUICK)
    try:
        server = Orthanc(f"http://127.0.0.1:{http}", dicom, process.pid)
        wait_for(lambda: server.ask("GET", "/system"))
        yield server
    finally:
        process.kill()
        process.wait()


def on_cores(cores: int | str | None) -> list[str]:
    """What a command begins with that is to use these cores only (util-linux)."""
    return [] if cores is None else ["taskset", "--cpu-list", str(cores)]


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ask: Callable[[], object]) -> None:
    """Until a server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ask()
            return
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def draw(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Files of `count` CT images of 256 x 256, a hundred a study and patient."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.Rows = dataset.Columns = SIDE
    files = []
    for number in range(count):
        if number % OBJECTS_PER_STUDY == 0:
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
            dataset.PatientID = f"{seed}.{number // OBJECTS_PER_STUDY}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.PixelData = _slice(random).tobytes()
        files.append(folder / f"{number:06}.dcm")
        dataset.save_as(files[-1])
    return files


def _slice(random: np.random.Generator) -> np.ndarray:
    """A bright ellipse somewhere, under noise: int16 (256, 256)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = random.uniform(90, 160, 2)
    height, width = random.uniform(20, 80, 2)
    inside = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 < 1
    return (900 * inside + random.integers(0, 60, (SIDE, SIDE))).astype("<i2")


def send(server: Orthanc, folder: Path) -> None:
    """The files of a folder, over one association."""
    command = ["storescu", "-aec", "ORTHANC", "127.0.0.1", str(server.dicom_port), "+sd", str(folder)]
    subprocess.run(command, check=True, env=QUICK, stdout=subprocess.DEVNULL)


@contextmanager
def installation(folder: Path, connection: Connection, *, encoder: bool) -> Iterator[tuple[Settings, Database]]:
    """A new one on SQLite that knows an archive, with an untrained encoder if asked for."""
    settings = Settings(data=folder)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    add(database, settings, connection)
    if encoder:
        _add_encoder(database, settings)
    yield settings, database
    database.dispose()


def _add_encoder(database: Database, settings: Settings) -> None:
    from cbmir.encoders import weights
    from cbmir.encoders.base import Preprocessing
    from cbmir.encoders.cnn_autoencoder import CnnAutoencoder

    preprocessing = Preprocessing(64)
    network = CnnAutoencoder(preprocessing.side)
    network.initialise(0)
    data = weights.to_bytes(network.state_dict())
    sha256 = hashlib.sha256(data).hexdigest()
    settings.weights.mkdir(parents=True, exist_ok=True)
    (settings.weights / "untrained.safetensors").write_bytes(data)
    with database.write() as session:
        encoders.add(
            session,
            id="untrained",
            architecture="cnn-autoencoder",
            weights_file="untrained.safetensors",
            weights_sha256=sha256,
            dimension=48,
            preprocessing=preprocessing.as_json(),
            training={},
            metrics={},
        )


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    orthanc_says = subprocess.run(["Orthanc", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "Python": platform.python_version(),
        "Orthanc": orthanc_says.split()[1],
        **{name: version(name) for name in ("SQLAlchemy", "pydicom", "requests", "torch")},
    }
