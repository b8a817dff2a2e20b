"""A real Orthanc for a demonstration: for this machine alone, with a password, followed by our script."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import cbmir
from cbmir.archive import orthanc_config
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.cli.demos import servers
from cbmir.cli.demos.servers import LOCAL, Server
from cbmir.errors import ArchiveUnavailable, NotFound

PROGRAMS = ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin")
PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/local/share/orthanc/plugins"))
PLUGINS = ("OrthancPython", "OrthancDicomWeb")

SCRIPT = Path(cbmir.__file__).parents[1] / "orthanc" / "cbmir_orthanc.py"
"""Of a checkout; an installed cbmir has none, as it is under another licence."""

NAME, USERNAME, AET = "orthanc", "demo", "ORTHANC"
FIRST_PORT, PORTS = 20_000, 12_000
"""High ports, below those that systems give to outgoing connections (Linux: from 32,768 on)."""

ANSWER_SECONDS, STORE_SECONDS = 30.0, 10.0


@dataclass(frozen=True)
class Orthanc:
    """The demo's Orthanc: where it is, and who may ask it."""

    server: Server
    port: int
    dicom_port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.port}"

    @property
    def by_rest(self) -> Connection:
        """As it is followed: it logs what comes, and counts what it has."""
        return Connection(NAME, ArchiveKind.ORTHANC, self.url, Credentials(USERNAME, self.password))

    @property
    def by_dimse(self) -> Connection:
        """As a modality sends to it."""
        address = f"{AET}@{LOCAL}:{self.dicom_port}"
        return Connection(NAME, ArchiveKind.DIMSE, address, timeout_seconds=STORE_SECONDS)

    def delete_study(self, study_instance_uid: str) -> None:
        """Delete a study, as an administrator does in Orthanc Explorer.

        Raises:
            cbmir.errors.ArchiveUnavailable: if it does not do so.
        """
        try:
            found = self._request("POST", "/tools/lookup", study_instance_uid).json()
            for path in (each["Path"] for each in found if each["Type"] == "Study"):
                self._request("DELETE", path)
        except requests.RequestException as error:
            raise ArchiveUnavailable("Orthanc does not delete the study.", f"See {self.server.log}") from error

    def _request(self, method: str, path: str, body: str = "") -> requests.Response:
        who = (USERNAME, self.password)
        answer = requests.request(method, f"{self.url}{path}", data=body, auth=who, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer


@contextmanager
def running(folder: Path, web_url: str) -> Iterator[Orthanc]:
    """A real Orthanc on free ports, with our script where that is at hand; it keeps what it holds in `folder`.

    Args:
        folder: made where it is missing; an earlier one's password and, if they are still free, ports stay.
        web_url: where the script reaches cbmir's web, and browsers too.

    Raises:
        cbmir.errors.NotFound: if Orthanc or one of its plugins is not installed.
        cbmir.errors.Unavailable: if it does not start.
    """
    program, plugins = installed()
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "orthanc.json"
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    configuration = _configuration(kept, folder, plugins, web_url)
    file.touch(0o600)
    file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    quick = {**os.environ, "TCP_NODELAY": "1"}  # else each object that it receives takes 45 ms (dcmtk, Nagle)
    with servers.running("Orthanc", [str(program), str(file)], folder / "log", quick) as server:
        ports = configuration["HttpPort"], configuration["DicomPort"]
        server.wait(lambda: all(map(servers.answers, ports)))
        yield Orthanc(server, *ports, password=configuration["RegisteredUsers"][USERNAME])


def installed() -> tuple[str, list[Path]]:
    """The program of Orthanc, and the plugins that the demo needs.

    Raises:
        cbmir.errors.NotFound: if one of them is missing.
    """
    program = shutil.which("Orthanc", path=os.pathsep.join([os.environ.get("PATH", ""), *PROGRAMS]))
    plugins = [_plugin(name) for name in PLUGINS]
    missing = ["Orthanc"] * (program is None) + [
        name for name, file in zip(PLUGINS, plugins, strict=True) if not file
    ]
    if program is None or missing:
        reason = f"This demo needs Orthanc with its Python and DICOMweb plugins; missing: {', '.join(missing)}."
        raise NotFound(reason, "`make services` installs them on Debian.")
    return program, [file for file in plugins if file]


def _plugin(name: str) -> Path | None:
    return next((file for folder in PLUGIN_FOLDERS if (file := folder / f"lib{name}.so").exists()), None)


def _configuration(kept: Mapping[str, Any], folder: Path, plugins: Sequence[Path], web_url: str) -> dict[str, Any]:
    """For this machine alone: Orthanc listens everywhere, and so must refuse who comes from elsewhere."""
    password = kept.get("RegisteredUsers", {}).get(USERNAME) or secrets.token_urlsafe(12)
    storage = str(folder / "storage")
    senders = {name.lower(): [name, LOCAL, 104] for name in ("CBMIR", "STORESCU")}
    return {
        "Name": "Orthanc of cbmir's demo",
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "HttpPort": _port(kept.get("HttpPort")),
        "DicomPort": _port(kept.get("DicomPort")),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USERNAME: password},
        "DicomAet": AET,
        "DicomModalities": senders,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": True,
        "Plugins": [str(file) for file in plugins],
        **(_script(web_url) if SCRIPT.exists() else {}),
    }


def _script(web_url: str) -> dict[str, Any]:
    return {**orthanc_config.script(web_url, NAME), "PythonScript": str(SCRIPT)}


def _port(kept: int | None) -> int:
    """The port of the last run, if it is free, else another."""
    some = (FIRST_PORT + secrets.randbelow(PORTS) for _ in range(100))
    return next(port for port in (kept, *some) if port and servers.is_free(port))
