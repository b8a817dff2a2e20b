"""Coverage-guided fuzzing of the parser and the converter: `make fuzz ARGS="-max_total_time=3600"`.

Any exception but UnusableInput is a find, and so are a crash, more than 10 s and more than 1,100 MB; not so a
decoder that the product would have ended (`budgets`). libFuzzer leaves the bytes of a find in a file `crash-...`,
`timeout-...` or `oom-...`; `make fuzz ARGS=FILE` tries it again.
A folder in ARGS keeps what was learned for the next time.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from contextlib import suppress
from itertools import product
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cbmir", "pydicom"]):
    import cbmir.services.conversion.convert as room
    from cbmir.dicom.rendering import Rendering

from cbmir.errors import UnusableInput
from cbmir.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

import budgets
import mutate
import seeds

LIMITS = ("-timeout=10", "-rss_limit_mb=1100", "-max_len=100000")

WAYS = [
    Settings(max_frames=3, window=window, crop=crop, waveform=waveform, frames=frames)
    for window, crop, waveform, frames in product(
        ("auto", "full", "voi", "40,400"),
        ("none", "tissue"),
        ("traces", "spectrogram"),
        ("spread", "representative", "all", "every:2"),
    )
]
"""What is wanted of the pictures; the bytes decide, so that a find stays one."""


def try_one(data: bytes) -> None:
    """Convert the bytes as an upload is converted."""
    settings = WAYS[zlib.crc32(data) % len(WAYS)]
    with suppress(UnusableInput, budgets.TimeIsUp):
        room.convert(data, "x.dcm", settings, "0" * 64)
        _draw_overlays(data, settings)


def _draw_overlays(data: bytes, settings: Settings) -> None:
    """Overlays are drawn only where a user asks for one picture anew."""
    file = room.open_file(data, "x.dcm", settings)
    if file.frames is not None:
        file.frames.picture(0, Rendering(overlays=True))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cbmir-fuzz-") as folder:
        given = [each for each in sys.argv[1:] if not each.startswith("-")]
        if not any(Path(each).is_file() for each in given):
            print(f"{seeds.write_seeds(Path(folder))} seeds")  # noqa: T201
            given.append(folder)
        options = [each for each in sys.argv[1:] if each.startswith("-")]
        budgets.keep()
        atheris.Setup([sys.argv[0], *LIMITS, *options, *given], try_one, custom_mutator=mutate.mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
