"""How an object's pictures were made, and what its header says of them, in words for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import UID

from cbmir.services.conversion.convert import is_outdated
from cbmir.settings import Settings
from cbmir.store.tables import Instance

SIDES = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
BURNED_IN = {"YES": "Yes: it may show a patient's name", "NO": "No, says the header"}
SPATIAL_FORMATS = {1: "2D", 2: "M-mode", 3: "spectral", 4: "waveform", 5: "graphics"}
DATA_TYPES = {1: "tissue", 2: "colour flow", 3: "pulsed-wave Doppler", 4: "continuous-wave Doppler"}
"""Values of Region Spatial Format and Region Data Type (PS3.3 C.8.5.5.1)."""


@dataclass(frozen=True)
class Made:
    """Frames that were made in the same way: their numbers as `1-3, 7`, by which conversion, in which steps."""

    frames: str
    pipeline: str
    outdated: bool
    steps: tuple[str, ...]


def made(instance: Instance, settings: Settings) -> list[Made]:
    """How the frames were made, those of equal steps together, in the order of their first frames."""
    alike: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for frame in instance.frames:
        alike.setdefault((frame.pipeline, tuple(frame.steps)), []).append(frame.frame_number)
    return [
        Made(ranges(numbers), pipeline, is_outdated(pipeline, settings), steps)
        for (pipeline, steps), numbers in alike.items()
    ]


def ranges(numbers: Iterable[int]) -> str:
    """Ascending whole numbers in few words: `1-3, 7`, with en dashes."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def syntax_name(uid: str | None) -> str:
    """The name of a transfer syntax (PS3.6 A); empty for one that is not known."""
    name = UID(uid).name if uid else ""
    return "" if name == uid else name


def given_away(instance: Instance) -> list[tuple[str, list[str]]]:
    """What the header says of the picture that may help to tell whose it is, as far as it says anything."""
    regions = [_region(each) for each in instance.ultrasound_regions or []]
    said = [
        ("Burned-in text", _known(instance.burned_in_annotation, BURNED_IN)),
        ("Laterality", _known(instance.laterality, SIDES)),
        ("View", _known(instance.view_position, {})),
        ("Made by", _known(instance.manufacturer, {}) + _known(instance.model_name, {})),
        ("Ultrasound regions", regions),
    ]
    return [(name, values) for name, values in said if values]


def _known(value: str | None, words: dict[str, str]) -> list[str]:
    return [words.get(value, value)] if value else []


def _region(region: dict[str, int]) -> str:
    kinds = (SPATIAL_FORMATS.get(region["spatial_format"]), DATA_TYPES.get(region["data_type"]))
    kind = ", ".join(word for word in kinds if word) or "of another kind"
    x0, y0, x1, y1 = (region[corner] + 1 for corner in ("x0", "y0", "x1", "y1"))  # counted from 1, as the steps are
    return f"{kind}: columns {x0}–{x1}, rows {y0}–{y1}"
