"""What a DICOM object is, in words that a user knows."""

from __future__ import annotations

from pydicom import Dataset
from pydicom import uid as uids
from pydicom.uid import UID

from cbmir.dicom import values

WITHOUT_PICTURE = (
    " SR ", "SR Storage", "Presentation State", "RT Plan", "RT Ion Plan", "RT Structure Set", "RT Beams",
    "RT Brachy", "Encapsulated", "Key Object", "Registration", "Fiducials", "Raw Data", "Measurements",
    "Hanging Protocol", "Protocol Storage", "Report Storage", "Procedure Log", "Surface", "Tractography",
    "Real World Value Mapping", "Stereometric", "Inventory",
)  # fmt: skip
"""Words in the names of SOP classes that show nothing by themselves."""

PRIVATE_CLASSES = {
    "1.3.12.2.1107.5.9.1": "CSA Non-Image Storage of Siemens, spectroscopy or other private data",
    "1.3.46.670589.11.0.0.12.1": "MR Spectrum Storage of Philips, private spectroscopy",
    "1.3.46.670589.11.0.0.12.2": "MR Series Data Storage of Philips, private data",
    "1.3.46.670589.11.0.0.12.4": "MR Examcard Storage of Philips, private data",
    "1.2.840.113619.4.30": "PET Raw Data Storage of GE, private data",
}
"""SOP classes of vendors' own, whose objects rarely have a picture, and what is said of those that have none."""

PRIVATE_PIXELS, COMPRESSION = 0x0A, 0x11
"""The last bytes of the tags of Philips' private pixels, (07A1,xx0A), and of what names their compression."""


def kind(dataset: Dataset) -> str:
    """The name of the object's SOP class, such as "Encapsulated PDF Storage"; else its modality, else "DICOM"."""
    uid = values.text(dataset, "SOPClassUID") or values.text(dataset.file_meta, "MediaStorageSOPClassUID")
    known = PRIVATE_CLASSES.get(uid) or (UID(uid).name if uid else "")
    if known and known != uid:
        return known
    return f"{values.text(dataset, 'Modality')[:16]} object".strip() if "Modality" in dataset else "DICOM object"


SHOWING_NOTHING = frozenset(
    str(uid)
    for uid in vars(uids).values()
    if isinstance(uid, UID)
    and uid.type == "SOP Class"
    and "Storage" in uid.name
    and any(word in uid.name for word in WITHOUT_PICTURE)
    and not any(word in uid.name for word in ("Image", "Waveform"))
)
"""SOP classes of reports, plans, registrations, presentation states and documents (PS3.4 B.5)."""


def may_show(sop_class_uid: str) -> bool:
    """Whether an object of this SOP class may have a picture or a waveform; an unknown class may."""
    return sop_class_uid not in SHOWING_NOTHING


PRIVATELY = ("PMSCT_RLE1", "PMSCT_RGB1")
"""Compressions that Philips' scanners name. No others are quoted: a damaged header may have anything there."""


def privately_compressed(dataset: Dataset) -> str:
    """How pixels are compressed that a Philips scanner put into a private element; empty where there is none."""
    try:
        block = dataset.private_block(0x07A1, "ELSCINT1")
    except KeyError:
        return ""
    if PRIVATE_PIXELS not in block:
        return ""
    named = str(block[COMPRESSION].value).strip("\0 ") if COMPRESSION in block else ""
    return named if named in PRIVATELY else "of no known name"
