"""Small true inputs for the library's tests: images and DICOM objects made in memory; dcmtk's programs as peers."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database

QUICK = {**os.environ, "TCP_NODELAY": "1"}


@pytest.fixture
def make_png() -> Callable[..., bytes]:
    """Bytes of a grey PNG; another seed gives another picture."""

    def make(seed: int = 0, side: int = 24, file_format: str = "PNG") -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, file_format)
        return buffer.getvalue()

    return make


@pytest.fixture
def make_dicom() -> Callable[..., bytes]:
    """Bytes of a small MR object; keyword arguments are attributes of its dataset, None takes one away."""

    def make(seed: int = 0, **attributes: Any) -> bytes:
        dataset = _mr_image(seed)
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return make


@pytest.fixture
def add_network(settings: Settings) -> Callable[..., str]:
    """Stores the paper's network, untrained, as an encoder and returns its id; another seed gives another."""
    from cbmir.encoders import weights
    from cbmir.encoders.base import Preprocessing
    from cbmir.encoders.cnn_autoencoder import CnnAutoencoder

    def add(database: Database, seed: int = 0) -> str:
        network = CnnAutoencoder(16)
        network.initialise(seed)
        data = weights.to_bytes(network.state_dict())
        sha256 = hashlib.sha256(data).hexdigest()
        encoder_id = f"cnn-autoencoder-{sha256[:8]}"
        settings.weights.mkdir(parents=True, exist_ok=True)
        (settings.weights / f"{encoder_id}.safetensors").write_bytes(data)
        with database.write() as session:
            encoders.add(
                session,
                id=encoder_id,
                architecture="cnn-autoencoder",
                weights_file=f"{encoder_id}.safetensors",
                weights_sha256=sha256,
                dimension=48,
                preprocessing=Preprocessing(16).as_json(),
                training={"seed": seed},
                metrics={},
            )
        return encoder_id

    return add


@pytest.fixture
def make_extractor() -> Callable[..., bytes]:
    """Bytes of a network in ONNX: a convolution `map`, its mean `mean`, and a dense layer of it, `feature`.

    `shape` is its input's, `outputs` what it gives, with their shapes. Of a picture whose mean lies above
    `fails_above`, and below 0.9, `feature` is not a number.
    """

    def make(
        shape: Sequence[int | str] = ("n", 1, 8, 8),
        outputs: dict[str, Sequence[int | str]] | None = None,
        *,
        fails_above: float | None = None,
    ) -> bytes:
        random, channels = np.random.default_rng(0), shape[1]
        assert isinstance(channels, int)
        filters, dense = random.normal(size=(6, channels, 3, 3)), random.normal(size=(6, 12))
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["picture", "filters"], ["map"], kernel_shape=[3, 3], pads=[1] * 4),
                helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
                helper.make_node("Flatten", ["mean"], ["flat"]),
                helper.make_node("Gemm", ["flat", "dense"], ["feature" if fails_above is None else "dense_of_it"]),
                *([] if fails_above is None else _broken()),
            ],
            "network",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, of)
                for name, of in (outputs or {"feature": ("n", 12)}).items()
            ],
            [
                numpy_helper.from_array(filters.astype(np.float32), "filters"),
                numpy_helper.from_array(dense.astype(np.float32), "dense"),
                *(numpy_helper.from_array(np.float32(each), name) for name, each in _constants(fails_above)),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())

    return make


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """One of dcmtk's programs, to its end."""
    if shutil.which(program) is None:
        pytest.skip("needs dcmtk: run `make services`")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, env=QUICK, capture_output=True, text=True, errors="replace", timeout=60)


@pytest.fixture
def dcmtk() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of dcmtk's programs: name, arguments."""
    return run


@dataclass(frozen=True)
class Qrscp:
    """dcmtk's dcmqrscp, running as an archive with the AE title QRSCP."""

    port: int
    folder: Path

    def send(self, *files: Path, options: tuple[str, ...] = ("-R",)) -> None:
        """Give it objects."""
        sent = run("storescu", *options, "-aec", "QRSCP", "127.0.0.1", self.port, *files)
        assert sent.returncode == 0, sent.stderr

    def copy(self, sop_instance_uid: str) -> bytes:
        """Its own file of an object."""
        files = (path for path in self.folder.iterdir() if path.name != "index.dat")
        return next(
            path.read_bytes()
            for path in files
            if pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID == sop_instance_uid
        )


QRSCP_CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
us = (CBMIR, 127.0.0.1, {move_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (200, 1024mb) ANY
AETable END
"""


@pytest.fixture
def move_port() -> int:
    """Where a C-MOVE to CBMIR goes."""
    return free_port()


@pytest.fixture
def qrscp(tmp_path: Path, move_port: int) -> Iterator[Qrscp]:
    """dcmqrscp, which sends what CBMIR asks to be moved to `move_port`."""
    if shutil.which("dcmqrscp") is None:
        pytest.skip("needs dcmtk: run `make services`")
    server = Qrscp(free_port(), tmp_path / "qrscp")
    server.folder.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        QRSCP_CONFIGURATION.format(port=server.port, folder=server.folder, move_port=move_port)
    )
    process = subprocess.Popen(["dcmqrscp", "-c", str(configuration)], env=QUICK, stderr=subprocess.DEVNULL)
    wait_for(server.port)
    yield server
    process.kill()
    process.wait()


def wait_for(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)


def free_port() -> int:
    """A TCP port that nobody uses now, and that no connection is given before a server has taken it."""
    while True:
        port = random.randrange(20_000, 32_000)  # systems take their own from 32,768 on
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _constants(fails_above: float | None) -> list[tuple[str, float]]:
    return [] if fails_above is None else [("low", fails_above), ("high", 0.9), ("nothing", 0.0)]


def _broken() -> list[Any]:
    """0 / 0 where the picture's mean lies between `low` and `high`, else 0 / 1: added to the feature."""
    return [
        helper.make_node("ReduceMean", ["picture"], ["grey"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Greater", ["grey", "low"], ["above"]),
        helper.make_node("Less", ["grey", "high"], ["below"]),
        helper.make_node("And", ["above", "below"], ["hit"]),
        helper.make_node("Not", ["hit"], ["missed"]),
        helper.make_node("Cast", ["missed"], ["divisor"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["nothing", "divisor"], ["nothing_or_nan"]),
        helper.make_node("Add", ["dense_of_it", "nothing_or_nan"], ["feature"]),
    ]


def _mr_image(seed: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance", str(seed)])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(seed)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(seed)])
    dataset.PatientName, dataset.PatientID = "Doe^Jane", f"P{seed}"
    dataset.Modality, dataset.BodyPartExamined = "MR", "HEAD"
    dataset.Rows = dataset.Columns = 24
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    pixels = np.random.default_rng(seed).integers(0, 4095, (24, 24), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    return dataset
