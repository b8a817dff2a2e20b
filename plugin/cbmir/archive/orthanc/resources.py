"""From Orthanc's resources to studies and objects as any archive lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from cbmir.archive.base import RemoteInstance, RemoteStudy
from cbmir.archive.orthanc.rest import Resource
from cbmir.dicom.header import read_date
from cbmir.errors import ArchiveGarbled


def tag(resource: Resource, keyword: str, group: str = "MainDicomTags") -> str:
    """A tag's first value as Orthanc keeps it, without padding; empty where it has none."""
    found = resource.get(group)
    value = found.get(keyword) if isinstance(found, dict) else None
    return str(value or "").split("\\")[0].strip("\0 ")


def uid(resource: Resource, keyword: str) -> str:
    """A UID that Orthanc always has.

    Raises:
        cbmir.errors.ArchiveGarbled: if it has not.
    """
    found = tag(resource, keyword)
    if not found:
        raise ArchiveGarbled(f"Orthanc lists something without {keyword}.")
    return found


def entries(answer: Resource, name: str) -> list[Any]:
    """A list in an answer; empty where it has none."""
    found = answer.get(name)
    return found if isinstance(found, list) else []


def number(answer: Resource, name: str) -> int:
    """A number that an answer must have.

    Raises:
        cbmir.errors.ArchiveGarbled: if it has not.
    """
    found = answer.get(name)
    if not isinstance(found, int):
        raise ArchiveGarbled(f"Orthanc does not say {name}.", "Check that the address is Orthanc's.")
    return found


def studies(found: Iterable[Resource], series: Iterable[Resource]) -> Iterator[RemoteStudy]:
    """Studies, with the number of objects that their series have.

    Args:
        found: the studies.
        series: all of theirs.
    """
    counts: Counter[str] = Counter()
    for each in series:
        counts[str(each.get("ParentStudy"))] += len(entries(each, "Instances"))
    for study in found:
        yield RemoteStudy(
            uid(study, "StudyInstanceUID"),
            _patient_key(study),
            counts[str(study.get("ID"))],
            _stamp(study),
            study_date(study),
        )


def study_date(study: Resource) -> date | None:
    """Its Study Date, as far as it has one."""
    return read_date(tag(study, "StudyDate"))


def _stamp(study: Resource) -> str:
    """When an object came last, and how many series there are, of which one may have gone."""
    return f"{study.get('LastUpdate', '')}/{len(entries(study, 'Series'))}"


def _patient_key(study: Resource) -> str:
    """Empty unless Orthanc is configured to keep the issuer: without it the key would be another's."""
    kept = study.get("PatientMainDicomTags")
    patient = tag(study, "PatientID", "PatientMainDicomTags")
    if not patient or not isinstance(kept, dict) or "IssuerOfPatientID" not in kept:
        return ""
    return f"{patient}\\{tag(study, 'IssuerOfPatientID', 'PatientMainDicomTags')}"


def instances(
    found: Iterable[Resource], series: Iterable[Resource], study_uids: dict[str, str]
) -> Iterator[RemoteInstance]:
    """Objects, with what their series say.

    Args:
        found: the objects, with their metadata.
        series: theirs; an object whose series is not among them is left out, since it has just gone.
        study_uids: Study Instance UIDs by Orthanc's ids.
    """
    known = {str(each.get("ID")): each for each in series}
    for each in found:
        of_series = known.get(str(each.get("ParentSeries")))
        study = study_uids.get(str(of_series.get("ParentStudy"))) if of_series else None
        if of_series and study:
            yield _instance(each, of_series, study)


def _instance(found: Resource, series: Resource, study_instance_uid: str) -> RemoteInstance:
    return RemoteInstance(
        uid(found, "SOPInstanceUID"),
        uid(series, "SeriesInstanceUID"),
        study_instance_uid,
        tag(found, "SopClassUid", "Metadata"),
        tag(series, "Modality").upper(),
        tag(series, "BodyPartExamined").upper(),
        str(found.get("ID") or ""),
        str(found.get("FileUuid") or ""),  # a file that takes another's place has another
    )
