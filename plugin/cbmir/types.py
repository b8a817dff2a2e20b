"""The values that travel between the rooms: immutable, without behaviour beyond their own meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
IdArray = npt.NDArray[np.int64]


class JobKind(StrEnum):
    """What a job does; each kind has a Celery task and a queue of its name."""

    INGEST = "ingest"
    EXTRACT = "extract"
    TRAIN = "train"
    EVALUATE = "evaluate"
    RETRIEVE = "retrieve"
    SYNC = "sync"
    REPORT = "report"
    FREE = "free"
    EXPLAIN = "explain"
    VERIFY = "verify"


class JobState(StrEnum):
    """queued -> running -> succeeded | failed | cancelled; a dead or retried job goes back to queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class ObjectState(StrEnum):
    """What became here of an object that an archive holds.

    pending -> held | skipped | set-aside; any of them -> pending when it changes, -> deleted when it is gone there.
    """

    PENDING = "pending"
    """To be fetched."""
    HELD = "held"
    """In the index."""
    SKIPPED = "skipped"
    """Not wanted by the rules, or nothing to show."""
    SET_ASIDE = "set-aside"
    """It cannot be used: the quarantine has the reason."""
    DELETED = "deleted"
    """Gone from the archive, and from here."""


class LabelOrigin(StrEnum):
    """Where a label comes from; a higher one replaces a lower one: header < folder < manifest < import < user."""

    HEADER = "header"
    FOLDER = "folder"
    MANIFEST = "manifest"
    IMPORT = "import"
    USER = "user"


class Part(StrEnum):
    """The part of a split that a patient's group belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class UltrasoundRegion:
    """One region of an ultrasound picture (PS3.3 C.8.5.5): its corners in pixels, both inclusive, and its kind.

    Attributes:
        x0, y0, x1, y1: column and row of the first and of the last pixel, from 0.
        spatial_format: 1 is 2D, 2 M-mode, 3 spectral; see Region Spatial Format (0018,6012).
        data_type: 1 is tissue, 2 colour flow; see Region Data Type (0018,6014).
    """

    x0: int
    y0: int
    x1: int
    y1: int
    spatial_format: int
    data_type: int


@dataclass(frozen=True)
class InstanceHeader:
    """What is kept of a DICOM object's header (PS3.3 C.12.1, C.7.3.1); empty text where it is absent.

    `patient_key` joins Patient ID and Issuer of Patient ID in clear: it is turned into a pseudonym before it
    is stored (`cbmir.services.ingestion.identity`) and appears nowhere else. `burned_in_annotation` is YES, NO or
    empty; `laterality` L, R, B, U or empty; `view_position` a code such as MLO or AP. `study_date` is None where
    there is none; it is shown and searched by, and appears neither in logs nor in exports. `manufacturer` and
    `model_name` say which kind of equipment made the picture, and not which one: Station Name, serial number and
    institution, which may name a site, are not kept.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    body_part: str
    transfer_syntax_uid: str
    patient_key: str = field(repr=False)
    photometric: str = ""
    burned_in_annotation: str = ""
    laterality: str = ""
    view_position: str = ""
    manufacturer: str = ""
    model_name: str = ""
    study_date: date | None = field(default=None, repr=False)
    ultrasound_regions: tuple[UltrasoundRegion, ...] = ()


@dataclass(frozen=True)
class RemoteStudy:
    """A study as the archive lists it (PS3.4 C.6.2.1.2, PS3.18 10.6).

    Attributes:
        study_instance_uid: its UID.
        patient_key: Patient ID and Issuer of Patient ID in clear, joined as in `InstanceHeader`; to be turned into
            a pseudonym before anything is kept.
        instances: Number of Study Related Instances (0020,1208); None where the archive does not say.
        stamp: changes whenever the archive changed something below; empty where it does not say.
        study_date: as far as the archive says.
    """

    study_instance_uid: str
    patient_key: str = field(default="", repr=False)
    instances: int | None = None
    stamp: str = ""
    study_date: date | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RemoteInstance:
    """An object as the archive lists it.

    Attributes:
        sop_instance_uid, series_instance_uid, study_instance_uid: its UIDs.
        sop_class_uid, modality, body_part: as far as the archive says; else empty.
        remote_id: the archive's own name for it; empty where it has none.
        digest: changes with the object's bytes; empty where the archive does not say.
        study_date: of its study, where it was not listed by date.
    """

    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    sop_class_uid: str = ""
    modality: str = ""
    body_part: str = ""
    remote_id: str = ""
    digest: str = ""
    study_date: date | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Picture:
    """One 2D image as it is stored and encoded.

    Attributes:
        frame_number: 1-based (PS3.3 C.7.6.6); 1 for a single image.
        pixels: uint8, shape (rows, columns) for grey or (rows, columns, 3) for RGB; 0 is black.
        steps: what was done to make it, in order, such as "window: 40/400 LINEAR"; nothing of a patient is in it.
    """

    frame_number: int
    pixels: ByteArray
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConvertedObject:
    """A file turned into pictures: a DICOM object with its header, or a plain image without one.

    Attributes:
        sha256: of the file's bytes, 64 hexadecimal digits.
        header: None for PNG, JPEG, TIFF and BMP.
        pipeline: name, version and hash of the conversion that made the pictures, such as dicom-2d/15-0123456789ab.
        pictures: at least one, in the order of their frame numbers.
        frame_count: frames that the object has, of which `pictures` may be a choice.
    """

    sha256: str
    header: InstanceHeader | None
    pipeline: str
    pictures: tuple[Picture, ...]
    frame_count: int = 1


@dataclass(frozen=True)
class NewFrame:
    """A frame to be added: its 1-based number, its picture's key, the picture's size in pixels, the conversion
    and what that did, in order."""

    frame_number: int
    picture: str
    rows: int
    columns: int
    pipeline: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelling:
    """What a manifest or a folder name says of one file."""

    labels: dict[str, str]
    group: str | None
    origin: LabelOrigin


class OnePer(StrEnum):
    """Of what an answer holds one hit."""

    STUDY = "study"
    PATIENT = "patient"


LARGEST_K = 1000
"""So many hits an answer may hold."""


@dataclass(frozen=True)
class Hit:
    """One answer to a query; `rank` starts at 1, `distance` is Euclidean in the encoder's feature space."""

    rank: int
    distance: float
    frame_id: int
    file_name: str
    sop_instance_uid: str | None
    series_instance_uid: str | None
    study_instance_uid: str | None
    frame_number: int
    labels: dict[str, str]
    study_date: date | None = None

    def as_json(self) -> dict[str, Any]:
        """The hit as `query --json` and the REST API give it."""
        return {
            "rank": self.rank,
            "distance": self.distance,
            "frame_id": self.frame_id,
            "file_name": self.file_name,
            "sop_instance_uid": self.sop_instance_uid,
            "series_instance_uid": self.series_instance_uid,
            "study_instance_uid": self.study_instance_uid,
            "study_date": self.study_date and self.study_date.isoformat(),
            "frame_number": self.frame_number,
            "labels": self.labels,
        }
