"""What a file claims costs nothing, what it names is not opened: each looked at in a process of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    AllTransferSyntaxes,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cbmir.dicom.codecs import CODECS, RETIRED
from cbmir.dicom.decode import NATIVE
from cbmir.dicom.syntaxes import DEFLATED_FRAMES, JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION
from cbmir.errors import BrokenFile, Undecodable
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

LARGEST = Path(__file__).resolve().parents[3] / "benchmarks" / "largest_pictures.py"

RAMP = (np.arange(24 * 20).reshape(24, 20) % 251).astype(np.uint8)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)

CONVERT = """
import json, resource, sys, tracemalloc
from pathlib import Path
from cbmir.errors import UnusableInput
from cbmir.services.conversion.convert import convert
from cbmir.settings import Settings

warm, *files = [Path(each).read_bytes() for each in sys.argv[2:]]

def tried(data):
    try:
        return len(convert(data, "x.dcm", Settings(**json.loads(sys.argv[1])), "0" * 64).pictures)
    except UnusableInput as error:
        return error.code

tried(warm)
opened = []
sys.addaudithook(lambda event, given: opened.append((event, str(given[0]))) if event in WATCHED else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tracemalloc.start()
came = [tried(data) for data in files]
peak = tracemalloc.get_traced_memory()[1]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"came": came, "opened": opened, "traced": peak, "grown": 1024 * grown}))
""".replace("WATCHED", repr(("open", "socket.connect", "socket.getaddrinfo", "os.listdir", "subprocess.Popen")))


def apart(folder: Path, warm: bytes, files: list[bytes], **settings: Any) -> dict[str, Any]:
    """What becomes of files in a process that has converted `warm` before, and so imported everything."""
    paths = [folder / f"{place}.dcm" for place in range(len(files) + 1)]
    for path, data in zip(paths, [warm, *files], strict=True):
        path.write_bytes(data)
    command = [sys.executable, "-c", CONVERT, json.dumps(settings), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def recoded(data: bytes, syntax: str) -> bytes:
    """The same file under the name of a transfer syntax that pydicom may not know."""
    known = JPEGBaseline8Bit.encode()
    assert data.count(known) == 1
    at = data.index(known)
    padded = syntax.encode() + b"\0" * (len(syntax) % 2)
    group, length = data.index(b"\x02\0\0\0UL\4\0") + 8, len(padded) - len(known)
    (rest,) = struct.unpack_from("<L", data, group)
    head = data[:group] + struct.pack("<L", rest + length) + data[group + 4 : at - 2]
    return head + struct.pack("<H", len(padded)) + padded + data[at + len(known) :]


def boasting(make_object: Any, encode: Any, syntax: str, keyword: str = "PixelData") -> bytes:
    """65,535 x 65,535 pixels in 10,000 frames, and a few bytes of them."""
    promise = {"Rows": 65_535, "Columns": 65_535, "NumberOfFrames": 10_000}
    plain = syntax in NATIVE
    dataset: Dataset = make_object(RAMP, syntax if plain else ExplicitVRLittleEndian, **promise)
    if not plain:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([bytes(imagecodecs.jpeg8_encode(RAMP))])
        dataset["PixelData"].VR = "OB"
    elif keyword != "PixelData":
        del dataset.PixelData
        setattr(dataset, keyword, bytes(64))
    data: bytes = encode(dataset)
    return data if plain else recoded(data, syntax)


SYNTAXES = sorted({*NATIVE, *CODECS, *AllTransferSyntaxes})


def test_a_promise_of_43_million_million_pixels_is_refused_in_every_syntax(
    make_object: Any, encode: Any, tmp_path: Path
) -> None:
    files = [boasting(make_object, encode, syntax) for syntax in SYNTAXES]
    files += [boasting(make_object, encode, each, "FloatPixelData") for each in NATIVE]
    found = apart(tmp_path, encode(make_object(RAMP)), files)
    assert set(found["came"]) == {"implausible-size"}
    assert found["traced"] < 50_000_000
    assert found["grown"] < 50_000_000
    assert found["opened"] == []


def test_more_frames_than_there_are_cost_nothing_either(make_object: Any, encode: Any, tmp_path: Path) -> None:
    """7,000 x 7,000 pixels are allowed, ten thousand frames of them are not there."""
    promise = {"Rows": 7000, "Columns": 7000, "NumberOfFrames": 10_000}
    files = [encode(make_object(RAMP, syntax, **promise)) for syntax in NATIVE]
    for syntax in CODECS:
        dataset = make_object(RAMP, **promise)
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([bytes(64)] * 3)
        dataset["PixelData"].VR = "OB"
        files.append(recoded(encode(dataset), syntax))
    found = apart(tmp_path, encode(make_object(RAMP)), files, max_frames=10_000)
    assert set(found["came"]) == {"broken-file"}
    assert found["traced"] < 50_000_000
    assert found["grown"] < 50_000_000


@pytest.mark.parametrize("name", ["rle-palette-16", "rle-grey-64", "jpeg-grey-12"])
def test_the_largest_picture_of_a_small_file_stays_below_a_gigabyte(name: str) -> None:
    """A few of those that the program measures, which takes minutes for all."""
    done = subprocess.run([sys.executable, LARGEST, name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 pictures" in done.stdout


def item(**elements: Any) -> Dataset:
    dataset = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no code string holds a path
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("crop", ["none", "tissue"])
def test_no_file_is_opened_that_an_object_names(make_object: Any, encode: Any, tmp_path: Path, crop: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))
    icon = item(Rows=8, Columns=8, BitsAllocated=8, BitsStored=8, SamplesPerPixel=1, PixelData=bytes(64))
    names: list[dict[str, Any]] = [
        {"ReferencedFileID": ["..", "..", "ETC", "PASSWD"]},
        {"PixelDataProviderURL": f"file://{secret}"},
        {"RetrieveURL": f"file://{secret}", "RetrieveURI": f"file://{secret}"},
        {"PatientID": f"file://{secret}", "BodyPartExamined": f"{secret}", "PatientName": f"{secret}"},
        {"IconImageSequence": [icon], "ICCProfile": f"file://{secret}".encode()},
        {"DirectoryRecordSequence": [item(ReferencedFileID=str(secret), DirectoryRecordType="IMAGE")]},
        {"ReferencedImageSequence": [item(ReferencedFileID=str(secret), ReferencedSOPInstanceUID="1.2.3")]},
        {"EncapsulatedDocument": f"file://{secret}".encode(), "ExtendedOffsetTable": bytes(8)},
    ]
    files = [encode(make_object(RAMP, **each)) for each in names]
    for elements in ({"PixelDataProviderURL": f"file://{secret}"}, {"ReferencedFileID": str(secret)}):
        files.append(encode(make_object(RAMP, PixelData=None, **elements)))
        files.append(encode(make_object(RAMP, PixelData=f"file://{secret}".encode(), **elements)))
    found = apart(tmp_path, encode(make_object(RAMP)), files, crop=crop)
    assert 1 in found["came"]
    assert "no-pixels" in found["came"]
    assert found["opened"] == []


def encoded(syntax: str, pixels: Any) -> bytes:
    """A frame in the syntax's own codec."""
    if syntax == DEFLATED_FRAMES:
        return bytes(imagecodecs.zlib_encode(pixels.tobytes()))[2:-4]
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit, *RETIRED):
        return bytes(imagecodecs.jpeg8_encode(pixels))
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True))
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        return bytes(imagecodecs.jpegls_encode(pixels))
    if syntax in (JPEG2000, JPEG2000Lossless):
        return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True))
    if syntax == JPEG_XL_RECOMPRESSION:
        return bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(pixels)))
    if syntax in (JPEG_XL, JPEG_XL_LOSSLESS):
        return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True))
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


def claiming(make_object: Any, encode: Any, syntax: str, said: Any, held: Any) -> bytes:
    """An object that says it holds pixels like one array, and holds another."""
    dataset = make_object(said)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    frame = encoded(syntax, held)
    dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].VR = "OB"
    return recoded(encode(dataset), syntax)


@pytest.mark.parametrize("syntax", sorted(set(CODECS) - {RLELossless, DEFLATED_FRAMES}))
@pytest.mark.parametrize(
    ("said", "held"),
    [(RAMP, COLOUR), (COLOUR, RAMP), (RAMP, RAMP[:-1]), (RAMP, RAMP.T), (RAMP, np.tile(RAMP, (50, 50)))],
    ids=["more samples", "fewer samples", "a row less", "turned", "larger"],
)
def test_a_frame_that_is_not_what_the_header_claims_is_broken(
    make_object: Any, encode: Any, syntax: str, said: Any, held: Any
) -> None:
    data = claiming(make_object, encode, syntax, said, np.ascontiguousarray(held))
    with pytest.raises(BrokenFile, match=r"claims .*, but its frame 1"):
        convert(data, "x.dcm", Settings(), "0" * 64)
    assert convert(claiming(make_object, encode, syntax, said, said), "x.dcm", Settings(), "").pictures


@pytest.mark.parametrize("syntax", [RLELossless, DEFLATED_FRAMES])
def test_a_frame_that_holds_less_than_the_header_claims_is_undecodable(
    make_object: Any, encode: Any, syntax: str
) -> None:
    deflated = encoded(DEFLATED_FRAMES, RAMP[:-1])
    runs = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\7" * 3
    dataset = make_object(RAMP)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    frame = runs if syntax == RLELossless else deflated
    dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    dataset["PixelData"].VR = "OB"
    with pytest.raises(Undecodable, match=r"x\.dcm"):
        convert(recoded(encode(dataset), syntax), "x.dcm", Settings(), "0" * 64)
