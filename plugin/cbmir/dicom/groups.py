"""Functional groups: what an enhanced multi-frame object says of one frame (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom import Dataset

from cbmir.dicom import values


def macro(dataset: Dataset, index: int, keyword: str) -> Dataset:
    """The item of a functional group's sequence that holds for a frame.

    Args:
        index: of the frame, 0-based.
        keyword: of the sequence, such as FrameVOILUTSequence.

    Returns:
        The frame's own item, else the one that all frames share, else the dataset itself, in which objects that
        are not enhanced keep the same elements.
    """
    own = values.item(dataset, "PerFrameFunctionalGroupsSequence", index)
    shared = values.item(dataset, "SharedFunctionalGroupsSequence", 0)
    for group in filter(None, (own, shared)):
        if (found := values.item(group, keyword, 0)) is not None:
            return found
    return dataset
