"""Which patient's group is trained on, which watches over the training, and which is kept for the test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

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


def assign(stratum_of: Mapping[str, str], seed: int) -> dict[str, Part]:
    """Split groups 80/10/10 into training, validation and test, each stratum in about that proportion.

    The groups are lined up stratum by stratum, by chance within each, and the held-out ones are taken from this
    line at even distances (systematic sampling). A group that is alone in its stratum is trained on, as nothing in
    another part could be compared with it.

    Args:
        stratum_of: the stratum of each group, by the group's key.
        seed: another one gives another split; the same one always the same.

    Returns:
        The part of each group; at least one group in each part.

    Raises:
        cbmir.errors.TrainingFailed: if there are fewer than three groups.
    """
    if len(stratum_of) < FEWEST_GROUPS:
        raise TrainingFailed(
            f"There are pictures of {counted(len(stratum_of), 'patient')}; a training needs {FEWEST_GROUPS} at "
            "least: to train, to validate and to test.",
            "Ingest pictures of more patients; for plain images a manifest's column `group` tells patients apart.",
        )
    line = _line(stratum_of, seed)
    held_out = max(1, round(len(line) / HELD_OUT))
    parts = dict.fromkeys(stratum_of, Part.TRAIN)
    for number in range(held_out):
        parts[line[_position(number + 0.25, len(line), held_out)]] = Part.VALIDATION
        parts[line[_position(number + 0.75, len(line), held_out)]] = Part.TEST
    return parts


def _line(stratum_of: Mapping[str, str], seed: int) -> list[str]:
    sizes = Counter(stratum_of.values())
    comparable = [group for group, stratum in stratum_of.items() if sizes[stratum] > 1]
    groups = comparable if len(comparable) >= FEWEST_GROUPS else list(stratum_of)
    return sorted(groups, key=lambda group: (stratum_of[group], _chance(seed, group)))


def _chance(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()


def _position(step: float, length: int, steps: int) -> int:
    return int(step * length / steps)
