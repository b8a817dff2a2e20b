"""A real Orthanc that has loaded our script, and a scripted server in cbmir's place."""

from __future__ import annotations

import json
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

SCRIPT = Path(__file__).resolve().parents[3] / "plugin" / "orthanc" / "cbmir_orthanc.py"
USER, PASSWORD = "orthanc", "told-secret"
PATIENCE_SECONDS = 15


@dataclass
class Cbmir:
    """Stands in cbmir's place: notes what it is told, and answers as it is set to.

    Attributes:
        status, answer, content_type: what it answers to who knows the password; else 401.
        certificate: its own and its key (PEM), where it speaks TLS.
        held: no answer is given before this is set.
        told: each request that was answered by 2xx: path, headers, body.
        refused: statuses of the others.
        holding: requests that wait for an answer now.
    """

    port: int = 0
    status: int = 202
    answer: bytes = b"{}"
    content_type: str = "application/json"
    location: str = ""
    certificate: Path | None = None
    held: Event = field(default_factory=Event)
    told: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    holding: int = 0

    def __post_init__(self) -> None:
        self.held.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for path, _, body in self.told if path.endswith("/events")]

    def known(self) -> dict[str, str]:
        """Orthanc's id of each instance and what was told of it last."""
        found: dict[str, str] = {}
        for said in self.events():
            found |= {**dict.fromkeys(said["stored"], "stored"), **dict.fromkeys(said["deleted"], "deleted")}
        return found

    def wait_for(self, known: dict[str, str]) -> None:
        """Until just this is known."""
        wait_until(lambda: self.known() == known, lambda: f"{self.known()} is known, not {known}")

    def start(self) -> None:
        """Answer; on the same port as before, if there was one."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler(self))
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens on the port any more."""
        self.held.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def handler(cbmir: Cbmir) -> type[BaseHTTPRequestHandler]:
    expected = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            cbmir.holding += 1
            assert cbmir.held.wait(60)
            cbmir.holding -= 1
            status = cbmir.status if self.headers["Authorization"] == expected else 401
            if 200 <= status < 300:
                cbmir.told.append((self.path, dict(self.headers), body))
            else:
                cbmir.refused.append(status)
            self.give(status)

        def give(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", cbmir.content_type)
            self.send_header("Content-Length", str(len(cbmir.answer)))
            if cbmir.location:
                self.send_header("Location", cbmir.location)
            self.end_headers()
            self.wfile.write(cbmir.answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests read what was told."""

    return Handler


def wait_until(true: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


@pytest.fixture
def wait() -> Callable[..., None]:
    """Waits until something is true."""
    return lambda true: wait_until(true, lambda: "it did not come true")


@pytest.fixture
def cbmir() -> Iterator[Cbmir]:
    """Running, and lets in who knows the password."""
    server = Cbmir()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def following(start_orthanc: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts an Orthanc that tells a `Cbmir`: `following(cbmir, folder=..., Password=...)`."""
    started: list[Any] = []

    def start(cbmir: Cbmir, folder: Path | None = None, **section: Any) -> Any:
        queue = str(tmp_path / "queue.sqlite")
        known = {"Url": cbmir.url, "Archive": "main", "Username": USER, "Password": PASSWORD, "Queue": queue}
        told = {**known, **section}
        started.append(start_orthanc("OrthancPython", folder=folder, PythonScript=str(SCRIPT), Cbmir=told))
        return started[-1]

    yield start
    for orthanc in started:
        orthanc.process.kill()  # its own way to end takes 3 s, and is a test's matter


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """A part of the script, which is no part of our packages."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    yield lambda name: import_module(f"cbmir_link.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "cbmir_link"]:
        del sys.modules[name]


@pytest.fixture
def make_study() -> Callable[..., list[bytes]]:
    """Objects of one study of a made-up patient, `count` in each of its series."""

    def make(count: int, modalities: tuple[str, ...] = ("CT",)) -> list[bytes]:
        study = {
            "StudyInstanceUID": generate_uid(),
            "PatientID": generate_uid()[-12:],
            "PatientName": "Secret^Name",
        }
        made = []
        for series_number, modality in enumerate(modalities, 1):
            series = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": series_number, "Modality": modality}
            made += [_object({**study, **series, "InstanceNumber": number}) for number in range(1, count + 1)]
        return made

    return make


def _object(tags: dict[str, Any]) -> bytes:
    made = dcmread(get_testdata_file("CT_small.dcm"))
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    file = BytesIO()
    made.save_as(file)
    return file.getvalue()
