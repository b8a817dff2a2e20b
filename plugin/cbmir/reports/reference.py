"""What a document refers to: objects by their UIDs, never by whom they show."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import UID

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cbmir:reports")


@dataclass(frozen=True)
class Reference:
    """An object, or one frame of it, that a document refers to.

    Attributes:
        study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid: where it is and what it is.
        frame_number: 1-based; None for an object that has no further frame, or is meant as a whole.
        rank: among the hits, from 1; 0 for the query itself.
        distance: from the query, Euclidean, in the encoder's feature space.
        labels: what is said of it, such as subclass = brain_glioma.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None
    rank: int = 0
    distance: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What made the answer that a document tells of.

    Attributes:
        answer: names the answer; the same answer gives documents of the same UIDs.
        encoder: id of the encoder whose features were compared.
        version: of cbmir.
    """

    answer: str
    encoder: str
    version: str

    def uid(self, *parts: object) -> UID:
        """A UID that is the same whenever the parts are (PS3.5 B.2: from a UUID)."""
        return UID(f"2.25.{uuid.uuid5(NAMESPACE, repr((self.answer, self.encoder, *parts))).int}")


def hierarchy(references: Iterable[Reference]) -> list[Dataset]:
    """The references by study and series, each object once (PS3.3 C.17.2.1, Table C.17-3)."""
    studies: dict[str, dict[str, dict[str, str]]] = {}
    for each in references:
        series = studies.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, {})
        series[each.sop_instance_uid] = each.sop_class_uid
    return [_study(uid, series) for uid, series in studies.items()]


def _study(study_instance_uid: str, series: Mapping[str, Mapping[str, str]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_instance_uid
    item.ReferencedSeriesSequence = [_series(uid, objects) for uid, objects in series.items()]
    return item


def _series(series_instance_uid: str, objects: Mapping[str, str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_instance_uid
    item.ReferencedSOPSequence = [_object(sop_class, uid) for uid, sop_class in objects.items()]
    return item


def _object(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item
