"""Whether text may stand in an object's pixels (PS3.3 C.7.6.1, Burned In Annotation)."""

from __future__ import annotations

from pydicom import Dataset

MODALITIES = ("US", "IVUS")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Begins the UIDs of the Secondary Capture classes (PS3.4 B.5)."""


def may_show_text(dataset: Dataset) -> bool:
    """True if its header says so, or says nothing and it is ultrasound or a secondary capture, which often do."""
    said = str(dataset.get("BurnedInAnnotation") or "").upper()
    kind = str(dataset.get("SOPClassUID") or "")
    captured = kind == SECONDARY_CAPTURE or kind.startswith(f"{SECONDARY_CAPTURE}.")
    return said == "YES" or (said != "NO" and (captured or str(dataset.get("Modality") or "") in MODALITIES))
