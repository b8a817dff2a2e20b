"""What it takes to keep a picture and to read it again, in the form of the shelf and in others.

    python benchmarks/pictures.py FOLDER [--pictures 200] [--rounds 3] [--json FILE]

FOLDER holds DICOM objects; the pictures are theirs, as an installation would store them. Prints, for each form,
the milliseconds of one core to make a picture's bytes and to get its pixels back, median over the rounds with the
least and the most, and the bytes as a share of the pixels. In each round every form has its turn. All are lossless,
which is checked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import imagecodecs
import numpy as np
import reporting
from PIL import Image

from cbmir.errors import UnusableInput
from cbmir.pictures import stored
from cbmir.services.conversion.convert import convert_one
from cbmir.settings import Settings
from cbmir.types import ByteArray

PACKAGES = ("imagecodecs", "pillow", "numpy")


def _pillow(pixels: ByteArray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _opened(data: bytes) -> Any:
    return np.asarray(Image.open(BytesIO(data)))


FORMS: Mapping[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = MappingProxyType(
    {
        "stored (TIFF, Zstandard)": (stored.packed, stored.unpacked),
        "PNG as browsers get it": (stored.png, imagecodecs.png_decode),
        "PNG by Pillow": (_pillow, _opened),
        "JPEG-LS": (imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
        "JPEG XL, least effort": (
            lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True, effort=1),
            imagecodecs.jpegxl_decode,
        ),
    }
)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    pictures = _pictures(arguments.folder, arguments.pictures)
    if not pictures:
        raise SystemExit(f"No picture can be made of what is in {arguments.folder}.")
    rounds = [{name: _measured(form, pictures) for name, form in FORMS.items()} for _ in range(arguments.rounds)]
    figures = {name: _summary([each[name] for each in rounds]) for name in FORMS}
    report = {**reporting.conditions(*PACKAGES), "pictures": len(pictures), "figures": figures}
    print(reporting.heading(report))
    size = sum(each.size for each in pictures) / len(pictures)
    print(f"{len(pictures)} pictures of {size / 1e3:.0f} kB, uncompressed, in the mean")
    print(f"{'':26}{'ms to write':>24}{'ms to read':>24}{'bytes':>8}")
    for name, row in figures.items():
        write, read = (reporting.told(row[step], 2) for step in ("write", "read"))
        print(f"{name:26}{write:>24}{read:>24}{row['share']:>8.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the forms in which a picture could be stored.")
    parser.add_argument("folder", type=Path, help="of DICOM objects")
    parser.add_argument("--pictures", type=reporting.positive, default=200)
    parser.add_argument("--rounds", type=reporting.positive, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _pictures(folder: Path, most: int) -> list[ByteArray]:
    """Pictures of the folder's objects, one of each, until there are so many."""
    settings, found = Settings(data=folder), list[ByteArray]()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if len(found) == most:
            break
        try:
            found.append(convert_one(path.read_bytes(), path.name, settings, "", None).pictures[0].pixels)
        except UnusableInput:
            continue  # what is no picture has none to store
    return found


def _measured(
    form: tuple[Callable[[Any], bytes], Callable[[bytes], Any]], pictures: list[ByteArray]
) -> dict[str, float]:
    write, read = form
    began = time.process_time()
    files = [write(each) for each in pictures]
    written = time.process_time()
    again = [read(each) for each in files]
    ended = time.process_time()
    if not all(map(np.array_equal, pictures, again)):
        raise SystemExit("A picture came back as another.")
    each = 1e3 / len(pictures)
    share = sum(map(len, files)) / sum(picture.size for picture in pictures)
    return {"write": (written - began) * each, "read": (ended - written) * each, "share": share}


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    steps = {step: reporting.spread([each[step] for each in rounds]) for step in ("write", "read")}
    return {**steps, "share": rounds[0]["share"]}


if __name__ == "__main__":
    main()
