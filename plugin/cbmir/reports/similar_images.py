"""A structured report of a similarity search: Comprehensive SR (PS3.3 A.35.3), its content tree our own."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    LanguageOfContentItemAndDescendants,
    NumContentItem,
)
from pydicom import Dataset

from cbmir.errors import BadRequest
from cbmir.reports import concepts, content
from cbmir.reports.host import adopt, bare
from cbmir.reports.reference import Origin, Reference

SERIES_NUMBER = 9902


def similar_images(header: Dataset, query: Reference, hits: Sequence[Reference], origin: Origin) -> ComprehensiveSR:
    """The report, a new series of the header's study and patient; a machine's, so neither final nor verified.

    Evidence of the query's own study stands in Current Requested Procedure Evidence Sequence (0040,A375), that of
    others in Pertinent Other Evidence Sequence (0040,A385), as PS3.3 C.17.2 has it.

    Args:
        header: of the query's object, with its patient, study, series and instance; pixels are not needed.
        query: the image that was asked about.
        hits: by rank.
        origin: what made the answer.

    Raises:
        cbmir.errors.BadRequest: if the query's object is of a class that the standard does not know.
    """
    uid = origin.uid("sr", query, tuple(hits))
    try:
        document = ComprehensiveSR(
            evidence=[bare(header), *(_evidence(each) for each in hits)],
            content=_tree(query, hits, origin),
            series_instance_uid=origin.uid("series", uid),
            series_number=SERIES_NUMBER,
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer="cbmir",
            is_complete=True,
            manufacturer_model_name="cbmir",
            software_versions=origin.version,
            series_description="Similar images",
            coding_schemes=[concepts.private_scheme()],
        )
    except KeyError as error:
        reason = f"The query's object is of a storage class that no report can be about: {header.SOPClassUID}."
        raise BadRequest(reason, "Send a key object selection instead.") from error
    adopt(document, header, _texts(hits))
    return document


def _evidence(reference: Reference) -> Dataset:
    evidence = Dataset()
    evidence.StudyInstanceUID = reference.study_instance_uid
    evidence.SeriesInstanceUID = reference.series_instance_uid
    evidence.SOPClassUID = reference.sop_class_uid
    evidence.SOPInstanceUID = reference.sop_instance_uid
    return evidence


def _tree(query: Reference, hits: Sequence[Reference], origin: Origin) -> ContainerContentItem:
    root = ContainerContentItem(concepts.SIMILAR_IMAGES, is_content_continuous=False)
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(concepts.ENGLISH),
            *content.observer(origin),
            *_algorithm(origin),
            _image(concepts.QUERY_IMAGE, query),
            *map(_hit, hits),
        ]
    )
    return root


def _algorithm(origin: Origin) -> AlgorithmIdentification:
    """Algorithm Identification (TID 4019)."""
    return AlgorithmIdentification(
        name=origin.encoder,
        version=f"cbmir {origin.version}",
        parameters=["Euclidean distance between the features of two images"],
        manufacturer="cbmir",
    )


def _hit(hit: Reference) -> ContainerContentItem:
    container = ContainerContentItem(
        concepts.SIMILAR_IMAGE, is_content_continuous=False, relationship_type=content.CONTAINS
    )
    container.ContentSequence = ContentSequence(
        [
            _number(concepts.RANK, hit.rank),
            _number(concepts.DISTANCE, hit.distance),
            _image(concepts.SIMILAR_IMAGE, hit),
            *(content.text(concepts.LABEL, each) for each in _texts([hit])),
        ]
    )
    return container


def _image(name: CodedConcept, reference: Reference) -> ContentItem:
    frames = [] if reference.frame_number is None else [reference.frame_number]
    return content.reference_item(name, reference, frames)


def _number(name: CodedConcept, value: float) -> NumContentItem:
    item = NumContentItem(name, value, concepts.UNITLESS, relationship_type=content.CONTAINS)
    if isinstance(value, int):
        item.MeasuredValueSequence[0].NumericValue = str(value)  # highdicom writes a rank as 1.0
    return item


def _texts(hits: Sequence[Reference]) -> list[str]:
    return [f"{name}: {value}" for hit in hits for name, value in hit.labels.items()]
