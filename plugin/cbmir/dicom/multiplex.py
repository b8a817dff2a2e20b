"""Which multiplex groups of a waveform become pictures, and why the others do not (PS3.3 C.10.9.1.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.boundary import RESEND
from cbmir.dicom.signals import KINDS
from cbmir.errors import NoPixels

DERIVED = "derived"
"""Why a group is left out beside original ones: such as the median beat of an ECG, it repeats what they show."""

UNDRAWN, EMPTY = "samples of a kind that is not drawn", "no samples"

SAID = 5
"""Groups of one kind that are named; of more their number is given."""


@dataclass(frozen=True)
class Groups:
    """The multiplex groups of an object.

    Attributes:
        drawn: places (0-based) in the Waveform Sequence of those that become pictures, ascending.
        count: how many there are.
        left_out: which of the others are not, and why, in words; empty if all are drawn.
    """

    drawn: tuple[int, ...]
    count: int
    left_out: str

    def said(self, index: int) -> tuple[str, ...]:
        """The step that tells of several groups, for the picture at `index` (0-based) of `drawn`."""
        if self.count == 1:
            return ()
        left_out = f"; left out: {self.left_out}" if self.left_out else ""
        return (f"multiplex group {self.drawn[index] + 1} of {self.count}{left_out}",)


NONE = Groups((), 0, "")
"""Those of an object without a waveform."""


def find_groups(dataset: Dataset, name: str) -> Groups:
    """Choose at least one: all groups that are original, as all frames of an object; else all that are derived.

    Groups that cannot be drawn, companded sound and those without samples, are left out if there are others.

    Raises:
        cbmir.errors.NoPixels: if there is no group.
    """
    why = [_why_not(each) for each in values.items(dataset, "WaveformSequence")]
    if not why:
        raise NoPixels(f"{name} has an empty Waveform Sequence.", RESEND)
    best = next(each for each in ("", DERIVED, why[0]) if each in why)
    drawn = tuple(place for place, each in enumerate(why) if each == best)
    return Groups(drawn, len(why), _in_words(why, best))


def _why_not(group: Dataset) -> str:
    """Why a group is no picture; empty if it is one."""
    if values.text(group, "WaveformSampleInterpretation") not in KINDS:
        return UNDRAWN
    if 0 in (values.number(group, each) for each in ("NumberOfWaveformChannels", "NumberOfWaveformSamples")):
        return EMPTY
    return DERIVED if values.text(group, "WaveformOriginality") == "DERIVED" else ""


def _in_words(why: list[str], drawn: str) -> str:
    """Such as "2 (derived), 3 and 4 (no samples)"."""
    reasons = [each for each in dict.fromkeys(why) if each != drawn]
    places = {one: [place + 1 for place, each in enumerate(why) if each == one] for one in reasons}
    return ", ".join(f"{_named(places[one])} ({one})" for one in reasons)


def _named(numbers: list[int]) -> str:
    """Such as "2", "2, 3 and 5", or "12 others"."""
    if len(numbers) > SAID:
        return f"{len(numbers)} others"
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
