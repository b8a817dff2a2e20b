"""The coded concepts of the documents: the standard's (PS3.16) where it has one, else cbmir's own."""

from __future__ import annotations

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

SCHEME = "99CBMIR"
"""Private coding schemes begin with 99 (PS3.16, chapter 8)."""

OF_INTEREST = CodedConcept.from_code(codes.cid7010.OfInterest)
"""Title of a selection of key objects (113000, DCM)."""
FOR_TEACHING = CodedConcept.from_code(codes.cid7010.ForTeaching)
"""Title of the manifest of a teaching file (113004, DCM)."""
DEVICE = CodedConcept.from_code(codes.DCM.Device)
UNITLESS = CodedConcept.from_code(codes.UCUM.NoUnits)
ENGLISH = CodedConcept("en", "RFC5646", "English")
DESCRIPTION = CodedConcept("113012", "DCM", "Key Object Description")
SOURCE = CodedConcept("260753009", "SCT", "Source")
"""Purpose of the reference of a key object; the name may not be left out everywhere (PS3.3 C.17.3)."""

SIMILAR_IMAGES = CodedConcept("SIMILAR-IMAGES", SCHEME, "Similar images found")
QUERY_IMAGE = CodedConcept("QUERY-IMAGE", SCHEME, "Query image")
SIMILAR_IMAGE = CodedConcept("SIMILAR-IMAGE", SCHEME, "Similar image")
RANK = CodedConcept("RANK", SCHEME, "Rank among the similar images")
DISTANCE = CodedConcept("DISTANCE", SCHEME, "Euclidean distance of the features")
LABEL = CodedConcept("LABEL", SCHEME, "Label")


def private_scheme() -> CodingSchemeIdentificationItem:
    """An item of Coding Scheme Identification Sequence (0008,0110) for the codes of cbmir's own."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME,
        name="Codes of cbmir, content-based medical image retrieval",
        responsible_organization="cbmir",
    )
