"""One vocabulary of modalities: DICOM codes (PS3.3 C.7.3.1.1.1) and the coarse classes used as labels."""

from __future__ import annotations

CLASSES: dict[str, str] = {
    **dict.fromkeys(("CR", "DX", "DR", "RG", "PX", "IO", "XA", "RF", "MG"), "xray"),
    "MR": "mri",
    **dict.fromkeys(("OPT", "OCT"), "oct"),
    "EEG": "eeg",
}
"""The four classes of the paper; every other code is its own class, in lower case."""


def modality_class(code: str) -> str:
    """The class of a DICOM modality code: `MR` gives `mri`, `CT` gives `ct`; empty text stays empty."""
    return CLASSES.get(code.upper(), code.lower())
