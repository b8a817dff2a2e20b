"""The whole path, from compressed DICOM to stored feature, beside its slowest stage: the decoder alone.

    python benchmarks/extract_dicom.py [--encoder default|paper] [--objects 1024] [--pixels 512] [--side 128]
        [--rounds 3] [--json FILE]

Objects are drawn, `--pixels` a side with 12 bits, in JPEG 2000 (lossless), JPEG-LS and native; the encoder is the
one that comes with cbmir, or the paper's for `--side`, untrained. A round ingests them into a new installation and
extracts their features; in between the decoder has its turn on the same frames, in as many threads as there are
cores, so that a neighbour's load hits all alike. Each figure is the median over the rounds, with the least and the
most. The start of the processes that convert, half a second of one core, is in it: of fewer objects each has more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import drawn_encoder
import imagecodecs
import numpy as np
import reporting
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, MRImageStorage, generate_uid

import cbmir_migrations
from cbmir.encoders import machine
from cbmir.progress import Silence
from cbmir.services.encoders import shipped
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.settings import Settings
from cbmir.store.session import Database

GOAL = 1.25
"""The whole path over its slowest stage alone, at most."""

DEFAULT, PAPER = "default", "paper"
STEPS = ("decoder", "ingest", "extract", "whole")
PACKAGES = ("imagecodecs", "pydicom", "onnxruntime", "numpy", "sqlalchemy")


@dataclass(frozen=True)
class Codec:
    """How a frame is compressed and decompressed."""

    syntax: UID
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "JPEG 2000": Codec(
            JPEG2000Lossless,
            lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True),
            imagecodecs.jpeg2k_decode,
        ),
        "JPEG-LS": Codec(JPEGLSLossless, imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
        "native": Codec(
            ExplicitVRLittleEndian,
            lambda pixels: pixels.tobytes(),
            lambda data: np.frombuffer(data, np.uint16).copy(),
        ),
    }
)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    sys.modules["__main__"].__spec__ = find_spec("cbmir.__main__")  # as of `cbmir`: no process begins this script
    figures = {name: measured(codec, arguments) for name, codec in CODECS.items()}
    report = {**reporting.conditions(*PACKAGES), **vars(arguments), "figures": figures}
    print(reporting.heading(report))
    print(f"{'objects/s':11}{''.join(f'{step:>24}' for step in STEPS)}   whole over the slowest")
    for name, row in figures.items():
        rates = "".join(f"{reporting.told(row[step], 1):>24}" for step in STEPS)
        print(f"{name:11}{rates}   {reporting.told(row['ratio'], 2)} (goal {GOAL})")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the path from DICOM to features beside its decoder.")
    parser.add_argument("--encoder", choices=(DEFAULT, PAPER), default=DEFAULT)
    parser.add_argument("--objects", type=int, default=1024)
    parser.add_argument("--pixels", type=int, default=512, help="rows and columns, a multiple of 8")
    parser.add_argument("--side", type=int, default=128, help="of the paper's encoder's input")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measured(codec: Codec, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Objects a second of each step, and how many times the slowest alone the whole takes."""
    frames = [codec.encode(drawn(number, arguments.pixels)) for number in range(arguments.objects)]
    seconds: dict[str, list[float]] = {"decoder": [], "ingest": [], "extract": []}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(machine.cores()) as pool:
        files = Path(folder) / "objects"
        files.mkdir()
        for number, frame in enumerate(frames):
            (files / f"{number}.dcm").write_bytes(dicom(codec, frame, arguments.pixels))
        for number in range(arguments.rounds):
            seconds["decoder"].append(_seconds(lambda: list(pool.map(codec.decode, frames))))
            _whole(Path(folder) / str(number), files, arguments, seconds)
    seconds["whole"] = [one + two for one, two in zip(seconds["ingest"], seconds["extract"], strict=True)]
    alone = [max(one, two) for one, two in zip(seconds["decoder"], seconds["extract"], strict=True)]
    ratios = [whole / slowest for whole, slowest in zip(seconds["whole"], alone, strict=True)]
    rates = {
        name: reporting.spread([arguments.objects / each for each in taken]) for name, taken in seconds.items()
    }
    return {**rates, "ratio": reporting.spread(ratios)}


def _whole(folder: Path, files: Path, arguments: argparse.Namespace, seconds: dict[str, list[float]]) -> None:
    settings = Settings(data=folder)
    cbmir_migrations.upgrade(_made(settings).resolved_database_url)
    database = Database(settings.resolved_database_url)
    encoder_id = _encoder(database, settings, arguments)
    seconds["ingest"].append(_seconds(lambda: ingest(database, settings, [files], None, Silence())))
    seconds["extract"].append(_seconds(lambda: extract(database, settings, encoder_id, Silence())))
    database.dispose()


def _encoder(database: Database, settings: Settings, arguments: argparse.Namespace) -> str:
    if arguments.encoder == DEFAULT:
        return shipped.add(database)
    with database.write() as session:
        return drawn_encoder.add(session, settings, arguments.side).id


def _made(settings: Settings) -> Settings:
    settings.data.mkdir()
    return settings


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def drawn(number: int, pixels: int) -> Any:
    """Soft shapes with noise, uint16 (pixels, pixels), 12 bits."""
    random = np.random.default_rng(number)
    soft = np.kron(random.normal(1000, 300, (8, 8)), np.ones((pixels // 8, pixels // 8)))
    return np.clip(soft + random.normal(0, 20, (pixels, pixels)), 0, 4095).astype(np.uint16)


def dicom(codec: Codec, frame: bytes, pixels: int) -> bytes:
    """An object of one frame."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = codec.syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.Modality = "drawn", "MR"
    dataset.Rows = dataset.Columns = pixels
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = encapsulate([frame]) if codec.syntax.is_encapsulated else frame
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


if __name__ == "__main__":
    main()
