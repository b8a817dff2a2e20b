"""Content items that both documents have: who observed, and the references (PS3.3 C.17.3, PS3.16)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    CodedConcept,
    CompositeContentItem,
    ContentItem,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.uid import UID

from cbmir.reports import concepts
from cbmir.reports.reference import Origin, Reference

CONTAINS = RelationshipTypeValues.CONTAINS

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def observer(origin: Origin) -> ObserverContext:
    """Observer Context (TID 1002): a device, cbmir with this encoder, not a person."""
    return ObserverContext(
        observer_type=concepts.DEVICE,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=str(Origin("", origin.encoder, "").uid("observer")),
            name=origin.encoder,
            manufacturer_name="cbmir",
            model_name=f"cbmir {origin.version}",
        ),
    )


def reference_item(name: CodedConcept, reference: Reference, frames: Sequence[int]) -> ContentItem:
    """IMAGE, with the frames that are meant; COMPOSITE for what the standard does not call an image.

    dcmtk reads no reference of type IMAGE to a dose, or to a class that it does not know, and highdicom none of
    type WAVEFORM.
    """
    sop_class, sop_instance = reference.sop_class_uid, reference.sop_instance_uid
    if sop_class == SEGMENTATION or "Image Storage" in UID(sop_class).name:
        return ImageContentItem(name, sop_class, sop_instance, list(frames) or None, relationship_type=CONTAINS)
    return CompositeContentItem(name, sop_class, sop_instance, relationship_type=CONTAINS)


def text(name: CodedConcept, value: str) -> TextContentItem:
    """A TEXT item that its parent contains."""
    return TextContentItem(name, value, relationship_type=CONTAINS)
