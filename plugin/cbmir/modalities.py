"""One vocabulary of modalities: DICOM codes (PS3.3 C.7.3.1.1.1) and the coarse classes used as labels."""

from __future__ import annotations

CLASSES: dict[str, str] = {
    **dict.fromkeys(("CR", "DX", "DR", "RG", "PX", "IO", "XA", "RF", "MG"), "xray"),
    "MR": "mri",
    **dict.fromkeys(("OPT", "OCT"), "oct"),
    "EEG": "eeg",
}
"""The four classes of the paper; every other code is its own class, in lower case."""


_CODES = """
    ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL
    IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG
    RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN
    TEXTUREMAP TG US VA XA XAPROTOCOL XC AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF DR SC
"""

KNOWN = frozenset(_CODES.split())
"""The codes of the standard, those that it has retired, and two that are often written in their place."""

OTHER = "OT"
"""The standard's own code for all others."""


def known_modality(code: str) -> str:
    """The code if it is known, else `OTHER`; empty text stays empty."""
    return code if code in KNOWN or not code else OTHER


def modality_class(code: str) -> str:
    """The class of a DICOM modality code: `MR` gives `mri`, `CT` gives `ct`; empty text stays empty."""
    return CLASSES.get(code.upper(), code.lower())
