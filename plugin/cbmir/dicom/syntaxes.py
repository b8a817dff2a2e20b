"""Transfer syntaxes that are missing in pydicom's list of those in use (PS3.6 A): here it learns their names.

Without that it neither names them nor writes an object in one of them.
"""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

JPEG_XL_LOSSLESS = UID("1.2.840.10008.1.2.4.110")
JPEG_XL_RECOMPRESSION = UID("1.2.840.10008.1.2.4.111")
JPEG_XL = UID("1.2.840.10008.1.2.4.112")
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
UNCOMPRESSED_IN_ITEMS = UID("1.2.840.10008.1.2.1.98")

REVERSIBLE = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL)
"""Those whose frames are samples without loss: not JPEG XL, where a lossy JPEG may lie within."""

YOUNGER = {
    JPEG_XL_LOSSLESS: "JPEG XL Lossless",
    JPEG_XL_RECOMPRESSION: "JPEG XL JPEG Recompression",
    JPEG_XL: "JPEG XL",
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
    UNCOMPRESSED_IN_ITEMS: "Encapsulated Uncompressed Explicit VR Little Endian",
}
"""Names by UID."""

for _uid, _name in YOUNGER.items():
    UID_dictionary.setdefault(_uid, (_name, "Transfer Syntax", "", "", ""))
