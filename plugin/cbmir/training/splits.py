"""Which patient's group is trained on, which watches over the training, and which is kept for the test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cbmir.errors import TrainingFailed
from cbmir.types import Part
from cbmir.words import counted

FEWEST_GROUPS = 3
HELD_OUT = 10
"""One group in so many validates, and one in so many tests."""


def strata(labelled: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each group's stratum: its most frequent label, the alphabetically first of equally frequent ones.

    Args:
        labelled: group and label of every picture.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for group, label in labelled:
        counts[group][label] += 1
    return {group: min(count, key=lambda label: (-count[label], label)) for group, count in counts.items()}


def assign(
    stratum_of: Mapping[str, str], seed: int, kept: Mapping[str, Part] = MappingProxyType({})
) -> dict[str, Part]:
    """Split groups 80/10/10 into training, validation and test, each stratum in about that proportion.

    The groups are lined up stratum by stratum, by chance within each, and the held-out ones are taken from this
    line at even distances (systematic sampling). A group that is alone in its stratum is trained on, as nothing in
    another part could be compared with it. Groups that have a part keep it; the others are split among themselves.

    Args:
        stratum_of: the stratum of each group, by the group's key.
        seed: another one gives another split; the same one always the same.
        kept: the part of groups that have one already; others than those of `stratum_of` count for nothing.

    Returns:
        The part of each group; at least one group in each part, unless groups that have a part leave too few.

    Raises:
        cbmir.errors.TrainingFailed: if there are fewer than three groups.
    """
    if len(stratum_of) < FEWEST_GROUPS:
        raise TrainingFailed(
            f"There are pictures of {counted(len(stratum_of), 'patient')}; a training needs {FEWEST_GROUPS} at "
            "least: to train, to validate and to test.",
            "Ingest pictures of more patients; for plain images a manifest's column `group` tells patients apart.",
        )
    known = {group: part for group, part in kept.items() if group in stratum_of}
    line = _line(stratum_of, known, seed)
    held_out = {
        part: _positions(len(line), first, at_least_one=part not in known.values())
        for part, first in ((Part.VALIDATION, 0.25), (Part.TEST, 0.75))
    }
    drawn = {line[position]: part for part, positions in held_out.items() for position in positions}
    return dict.fromkeys(stratum_of, Part.TRAIN) | drawn | known


def _line(stratum_of: Mapping[str, str], known: Mapping[str, Part], seed: int) -> list[str]:
    """The groups without a part that may be held out, in the order in which they are drawn from."""
    sizes, new = Counter(stratum_of.values()), [group for group in stratum_of if group not in known]
    comparable = [group for group in new if sizes[stratum_of[group]] > 1]
    lacking = set(Part) - set(known.values())
    groups = comparable if len(comparable) >= len(lacking) else new
    return sorted(groups, key=lambda group: (stratum_of[group], _chance(seed, group)))


def _positions(length: int, first: float, *, at_least_one: bool) -> list[int]:
    """Places at even distances, one in `HELD_OUT`; `first` is where in its stretch of the line each lies."""
    steps = min(length, max(int(at_least_one), round(length / HELD_OUT)))
    return [int((number + first) * length / steps) for number in range(steps)]


def _chance(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()
