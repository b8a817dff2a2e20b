"""Which images of a manifest are used: all, or for a quick look some whole patients of every sub-class."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cbmir.archive.manifest import CONTENT, Manifest, Row
from cbmir.errors import BadManifest
from cbmir.training.splits import strata


def choose(manifest: Manifest, limit: int | None, seed: int) -> list[Path]:
    """The files to take in, in order.

    Args:
        manifest: that names every file's group.
        limit: whole groups are taken until they have so many files; None means all.
        seed: of the choice; the same one always chooses the same.

    Raises:
        cbmir.errors.BadManifest: if a file has no group or no modality.
    """
    files = {path: rows[0] for path, rows in manifest.rows.items()}
    _check(files, manifest.path)
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for path, row in sorted(files.items()):
        groups[row.group or ""].append(path)
    if limit is None:
        return sorted(files)
    chosen: list[Path] = []
    for group in _in_turn(files, groups, seed):
        if len(chosen) >= limit:
            break
        chosen += groups[group]
    return sorted(chosen)


def _check(files: Mapping[Path, Row], manifest: Path) -> None:
    for row in files.values():
        for column, value in (("group", row.group), ("modality", row.labels.get("modality"))):
            if not value:
                raise BadManifest(
                    f"{row.file_name} has no {column} in {manifest.name}.",
                    "Images are split by patient and judged by modality: give every line both.",
                )


def _in_turn(files: Mapping[Path, Row], groups: Mapping[str, Sequence[Path]], seed: int) -> list[str]:
    """The groups, so that of any first few of them each sub-class has about its share of the files."""
    stratum_of = strata((row.group or "", _content(row)) for row in files.values())
    sizes: Counter[str] = Counter()
    for group, stratum in stratum_of.items():
        sizes[stratum] += len(groups[group])
    place, taken = {}, Counter[str]()
    for group in sorted(groups, key=lambda each: hashlib.sha256(f"{seed} {each}".encode()).hexdigest()):
        stratum = stratum_of[group]
        place[group] = (taken[stratum] + len(groups[group]) / 2) / sizes[stratum]
        taken[stratum] += len(groups[group])
    return sorted(groups, key=lambda each: (place[each], stratum_of[each], each))


def _content(row: Row) -> str:
    return "/".join(row.labels[name] for name in CONTENT if name in row.labels)
