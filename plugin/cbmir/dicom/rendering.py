"""What is wanted of a picture where the standard leaves a choice; its hash names the pipeline."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property

from cbmir.errors import BadRequest

VERSION = "dicom-2d/15"
"""Name and version of the conversion; the version changes whenever a picture would (a test holds it to that)."""

WINDOWS = ("auto", "voi", "full")
CROPS = ("none", "tissue")
WAVEFORMS = ("traces", "spectrogram")

Window = str | tuple[float, float]


@dataclass(frozen=True)
class Rendering:
    """How an object is turned into pictures. Every field changes pictures, and so the pipeline's hash.

    Attributes:
        window: of grey pictures. `auto`: the object's own VOI LUT or window, else percentiles by modality;
            `voi`: the object's own, else all that is there; `full`: all that is there, from the lowest value to the
            highest; or (center, width) in the modality's unit, applied by the object's VOI LUT Function.
        window_number: which of the object's own windows, from 1.
        side: longest side in pixels that the picture will be shrunk to; lets codecs decode less.
        crop: `none`, or `tissue`: to the region that holds tissue.
        overlays: whether overlay planes are drawn.
        waveform: `traces` or `spectrogram`.
    """

    window: Window = "auto"
    window_number: int = 1
    side: int = 512
    crop: str = "none"
    overlays: bool = False
    waveform: str = "traces"

    def __post_init__(self) -> None:
        if self.side < 1:
            raise BadRequest(f"A picture cannot have {self.side} pixels a side.", "Ask for 1 or more.")
        if isinstance(self.window, str):
            _check("window", self.window, WINDOWS)
        elif not all(map(math.isfinite, self.window)) or self.window[1] <= 0:
            raise BadRequest(f"A window cannot be {self.window[1]:g} wide.", "Give numbers, the width above 0.")
        _check("crop", self.crop, CROPS)
        _check("waveform", self.waveform, WAVEFORMS)

    @cached_property
    def pipeline(self) -> str:
        """Name, version and hash of the conversion, such as dicom-2d/15-0123456789ab."""
        return hashed(VERSION, asdict(self))


def hashed(version: str, choices: object) -> str:
    """A pipeline's name: version and the first twelve digits of the SHA-256 of its choices."""
    canonical = json.dumps(choices, sort_keys=True)
    return f"{version}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def read_window(text: str) -> Window:
    """A window as it is written: `auto`, `voi`, `full`, or CENTER,WIDTH.

    Raises:
        cbmir.errors.BadRequest: if it is none of these.
    """
    if text in WINDOWS:
        return text
    try:
        center, width = (_finite(each) for each in text.split(","))
    except ValueError as error:
        remedy = f"Give {', '.join(WINDOWS)}, or CENTER,WIDTH such as 40,400."
        raise BadRequest(f"{text!r} is no window.", remedy) from error
    return center, width


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _check(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise BadRequest(f"There is no {what} {given!r}.", f"Give one of {', '.join(known)}.")
