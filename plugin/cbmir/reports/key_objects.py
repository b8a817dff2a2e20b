"""A Key Object Selection Document (PS3.3 A.35.4, PS3.16 TID 2010): the query's image and its hits."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import CodedConcept, ContentItem, ContentSequence
from pydicom import Dataset

from cbmir.reports import concepts, content
from cbmir.reports.host import adopt, bare
from cbmir.reports.reference import Origin, Reference, hierarchy

SERIES_NUMBER = 9901
"""Far from the numbers that modalities give."""


def key_objects(
    header: Dataset,
    references: Sequence[Reference],
    origin: Origin,
    title: CodedConcept = concepts.OF_INTEREST,
    description: str = "",
) -> KeyObjectSelectionDocument:
    """The document, a new series of the header's study and patient.

    Its evidence, Current Requested Procedure Evidence Sequence (0040,A375), names every object that is referred to,
    in whichever study it is. The duplicates in those other studies that PS3.3 C.17.6.2.1 asks for are not made:
    they would write into the records of other patients.

    Args:
        header: of the query's object, with its patient, study, series and instance; pixels are not needed.
        references: the query's image first, then the hits by rank.
        origin: what made the answer.
        title: of Key Object Selection Document Title (CID 7010).
        description: a sentence for who reads it; empty for none.
    """
    base = bare(header)
    uid = origin.uid("kos", title.value, description, references)
    document = KeyObjectSelectionDocument(
        evidence=[base],
        content=KeyObjectSelection(title, [base]),
        series_instance_uid=origin.uid("series", uid),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid,
        instance_number=1,
        manufacturer="cbmir",
        manufacturer_model_name="cbmir",
        software_versions=origin.version,
        series_description="Similar images",
    )
    # highdicom takes references to one study only: the whole tree and its evidence take the place of its own
    document.ContentSequence = ContentSequence(_items(references, origin, description))
    document.CurrentRequestedProcedureEvidenceSequence = hierarchy(references)
    adopt(document, header, [description])
    return KeyObjectSelectionDocument.from_dataset(document)


def _items(references: Sequence[Reference], origin: Origin, description: str) -> list[ContentItem]:
    told = [content.text(concepts.DESCRIPTION, description)] if description else []
    return [*content.observer(origin), *told, *_selected(references)]


def _selected(references: Sequence[Reference]) -> list[ContentItem]:
    """One item an object, with the frames of it that are meant."""
    frames: dict[str, list[int]] = {}
    for each in references:
        numbers = frames.setdefault(each.sop_instance_uid, [])
        if each.frame_number is not None and each.frame_number not in numbers:
            numbers.append(each.frame_number)
    objects = {each.sop_instance_uid: each for each in reversed(references)}
    return [content.reference_item(concepts.SOURCE, objects[uid], sorted(each)) for uid, each in frames.items()]
