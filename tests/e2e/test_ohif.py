"""From a hit into OHIF: a real Orthanc with DICOMweb, and the viewer as its makers build it. Nothing of it is ours.

It is 200 MB, so this is done when asked: `npm pack @ohif/app`, unpack what comes, and name its folder `dist` in
CBMIR_TEST_OHIF.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

if TYPE_CHECKING:
    from conftest import Running

DIST = Path(os.environ.get("CBMIR_TEST_OHIF", ""))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.redis,
    pytest.mark.skipif(
        not (DIST / "index.html").is_file(),
        reason="needs OHIF: `npm pack @ohif/app`, unpack it, and set CBMIR_TEST_OHIF to its folder dist",
    ),
]

PATIENCE = 60_000
SECONDS = 30
SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "pacs",
    "configuration": {
        "friendlyName": "Orthanc",
        "name": "pacs",
        **dict.fromkeys(("qidoRoot", "wadoRoot", "wadoUriRoot"), "/dicom-web"),
        "qidoSupportsIncludeField": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
    },
}
CONFIGURATION = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "defaultDataSourceName": "pacs",
    "dataSources": [SOURCE],
}


IS_DRAWN = """() => {
  const canvas = document.querySelector("canvas.cornerstone-canvas");
  const drawn = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
  return new Set(drawn).size > 50;
}"""
"""Whether the viewport shows more than a few shades: an image."""


class Viewer(ThreadingHTTPServer):
    """OHIF on a port of its own, with an archive behind `/dicom-web`, as a hospital's proxy puts it there."""

    daemon_threads = True

    def __init__(self, dist: Path, orthanc: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.dist, self.orthanc = dist, orthanc
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    """A request of the viewer's."""

    server: Viewer

    def __init__(self, request: Any, address: Any, server: Viewer) -> None:
        super().__init__(request, address, server, directory=str(server.dist))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web/"):
            self._proxied()
        elif path == "/app-config.js":
            self._give(f"window.config = {json.dumps(CONFIGURATION)};".encode(), "text/javascript")
        else:
            if not Path(self.translate_path(path)).is_file():
                self.path = "/index.html"  # a place within the viewer
            super().do_GET()

    def _proxied(self) -> None:
        self.server.asked.append(self.path)
        orthanc = self.server.orthanc
        headers = {"Accept": self.headers.get("Accept", "*/*")}
        answer = requests.get(f"{orthanc.url}{self.path}", auth=orthanc.auth, headers=headers, timeout=SECONDS)
        self._give(answer.content, answer.headers.get("Content-Type", ""), answer.status_code)

    def _give(self, body: bytes, kind: str, status: int = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what went wrong."""


@pytest.fixture
def orthanc(start_orthanc: Callable[..., Any]) -> Any:
    return start_orthanc("OrthancDicomWeb")


@pytest.fixture
def viewer(orthanc: Any) -> Iterator[Viewer]:
    with Viewer(DIST, orthanc) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def page(browser: Browser, running: Running) -> Iterator[Page]:
    context = browser.new_context(base_url=running.address, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def send(orthanc: Any, folder: Path, patient: str) -> dict[str, str]:
    """Send an MR of a patient of its own; its UIDs."""
    dataset = dcmread(str(get_testdata_file("MR_small.dcm")))
    dataset.PatientID, dataset.PatientName = patient, f"{patient}^Drawn"
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(folder / "object.dcm")
    orthanc.send((folder / "object.dcm").read_bytes())
    return {"instance": str(dataset.SOPInstanceUID), "study": str(dataset.StudyInstanceUID)}


@pytest.fixture
def followed(running: Running, orthanc: Any, viewer: Viewer, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """An Orthanc of two patients that is followed, its hits leading into the viewer; their UIDs."""
    sent = [send(orthanc, tmp_path, patient) for patient in ("Asked", "Found")]
    archives = f"{running.address}/api/v1/archives"
    described = {"name": "pacs", "address": f"{orthanc.url}/dicom-web", "kind": "dicomweb"}
    described |= {"username": orthanc.username, "password": orthanc.password}
    described["viewer"] = f"{viewer.url}/viewer?StudyInstanceUIDs={{study}}"
    requests.post(archives, json=described, timeout=SECONDS).raise_for_status()
    yield sent
    requests.delete(f"{archives}/pacs?images=delete", timeout=SECONDS).raise_for_status()


def test_a_hit_leads_into_ohif_with_its_study(page: Page, followed: list[dict[str, str]], viewer: Viewer) -> None:
    asked, found = followed
    page.goto("/archives")
    card = page.get_by_role("article", name="pacs")
    expect(card.locator(".counts div").first).to_contain_text("2", timeout=PATIENCE)
    page.goto(f"/similar?instance={asked['instance']}")
    hit = page.locator(".hit", has=page.locator(f'a[href$="StudyInstanceUIDs={found["study"]}"]')).first
    expect(hit).to_be_visible(timeout=PATIENCE)
    with page.expect_popup() as opened:
        hit.get_by_role("link", name="View in pacs").click()
    ohif = opened.value
    expect(ohif.get_by_text("26-Aug-2004").first).to_be_visible(timeout=PATIENCE)
    ohif.wait_for_function(IS_DRAWN, timeout=PATIENCE)
    assert ohif.url.endswith(f"/viewer?StudyInstanceUIDs={found['study']}")
    pixels = [path for path in viewer.asked if path.endswith("/frames/1")]
    assert pixels
    assert all(f"/studies/{found['study']}/" in path for path in pixels), "no other study is opened"
