"""What stands above the hits of an answer."""

from __future__ import annotations

from cbmir_web.pages.answering import counted


def test_a_hit_that_has_several_labels_counts_for_each() -> None:
    labels = [
        {"subclass": "effusion|cardiomegaly", "modality": "xray"},
        {"subclass": "cardiomegaly"},
        {"modality": "mri"},
        {},
    ]
    assert counted(labels) == [("cardiomegaly", 2), ("effusion", 1), ("mri", 1), ("unlabelled", 1)]
