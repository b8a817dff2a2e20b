"""The tables. A change here and its migration in `migrations/` are one commit.

groups 1──n instances 1──n frames 1──n features n──1 encoders
                │                                       │
                └──n labels                  group_parts ┘──n groups
encoders 1──n activations
         ├──n dropped_features
         └──1 calibrations
jobs 1──1 queries          quarantine
  └──n extraction_pieces
archives 1──n archive_studies
       ├──n archive_objects    (known to instances by UID alone)
       └──n archive_notices
secret_keys                   (one row)
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cbmir.store.archive_tables import PUT_OFF as PUT_OFF
from cbmir.store.archive_tables import Archive as Archive
from cbmir.store.archive_tables import ArchiveNotice as ArchiveNotice
from cbmir.store.archive_tables import ArchiveObject as ArchiveObject
from cbmir.store.archive_tables import ArchiveStudy as ArchiveStudy
from cbmir.store.base import NEVER_REUSED as NEVER_REUSED
from cbmir.store.base import Base as Base
from cbmir.store.base import Moment as Moment
from cbmir.store.base import now as now
from cbmir.types import JobState


class Group(Base):
    """A patient or subject, by pseudonym: what a split never cuts through."""

    __tablename__ = "groups"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)


class Instance(Base):
    """One stored object: a DICOM SOP instance or a plain image file."""

    __tablename__ = "instances"
    __table_args__ = (
        Index(None, "study_instance_uid"),
        Index(None, "series_instance_uid"),
        Index(None, "study_date", "study_instance_uid"),  # with the UID, for who looks for studies without a date
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"), index=True)
    file_name: Mapped[str] = mapped_column(Text, index=True)
    """As shown and exported: a DICOM object's base name, a plain image's path below the folder handed in."""
    origin: Mapped[str] = mapped_column(Text, default="")
    """Where the bytes came from, for the administrator only: a path, or `zip!member`; empty for an upload."""
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """Of the file's bytes."""
    sop_instance_uid: Mapped[str | None] = mapped_column(String(64), unique=True)
    sop_class_uid: Mapped[str | None] = mapped_column(String(64))
    study_instance_uid: Mapped[str | None] = mapped_column(String(64))
    series_instance_uid: Mapped[str | None] = mapped_column(String(64))
    transfer_syntax_uid: Mapped[str | None] = mapped_column(String(64))
    modality: Mapped[str | None] = mapped_column(String(16), index=True)
    """The DICOM code, such as MR; None for a plain image."""
    body_part: Mapped[str | None] = mapped_column(String(64), index=True)
    study_date: Mapped[date | None] = mapped_column(Date)
    """None for a plain image, where the header has none, and where nobody has looked since dates are kept. It is
    patient data: shown and searched here, but neither exported nor logged."""
    photometric: Mapped[str | None] = mapped_column(String(16))
    """Photometric Interpretation (0028,0004)."""
    burned_in_annotation: Mapped[str | None] = mapped_column(String(3))
    """Burned In Annotation (0028,0301): YES or NO; None where the header does not say."""
    laterality: Mapped[str | None] = mapped_column(String(1))
    """L, R, B or U."""
    view_position: Mapped[str | None] = mapped_column(String(16))
    manufacturer: Mapped[str | None] = mapped_column(String(64))
    """Manufacturer (0008,0070), in capitals; None also where nobody has looked since it is kept."""
    model_name: Mapped[str | None] = mapped_column(String(64))
    """Manufacturer's Model Name (0008,1090), in capitals: of the kind of equipment, which names no site."""
    ultrasound_regions: Mapped[list[dict[str, int]] | None] = mapped_column(JSON(none_as_null=True))
    """`cbmir.types.UltrasoundRegion` of each as an object; None where there is none."""
    frame_count: Mapped[int] = mapped_column(default=1, server_default="1")
    """Frames that the object has; `frames` may be a choice of them."""
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)

    group: Mapped[Group] = relationship()
    frames: Mapped[list[Frame]] = relationship(
        back_populates="instance",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Frame.frame_number",
    )
    labels: Mapped[list[Label]] = relationship(
        back_populates="instance", cascade="all, delete-orphan", passive_deletes=True
    )


HEADER_COLUMNS = (
    "sop_instance_uid",
    "sop_class_uid",
    "study_instance_uid",
    "series_instance_uid",
    "transfer_syntax_uid",
    "modality",
    "body_part",
    "photometric",
    "burned_in_annotation",
    "laterality",
    "view_position",
    "manufacturer",
    "model_name",
)
"""The text columns of an instance that a DICOM header fills, named as in `cbmir.types.InstanceHeader`."""


class Frame(Base):
    """One 2D image of an instance, stored as a picture."""

    __tablename__ = "frames"
    __table_args__ = (UniqueConstraint("instance_id", "frame_number"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    frame_number: Mapped[int]
    picture: Mapped[str] = mapped_column(String(64), index=True)
    """SHA-256 of the picture's pixels and shape; names its file in the pictures folder. An imported frame's file
    may not be there, and the key is empty where the import did not name it."""
    rows: Mapped[int]
    columns: Mapped[int]
    pipeline: Mapped[str] = mapped_column(String(64))
    """Name and version of the conversion that made the picture."""
    steps: Mapped[list[str]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    """What that conversion did, in order: `cbmir.types.Picture.steps`."""

    instance: Mapped[Instance] = relationship(back_populates="frames")


NAMES_SEVERAL = text("replace(value, '|', '') <> value")
"""Of all labels those whose value names several (`cbmir.labels`): a filter looks at each, by an index of these."""


class Label(Base):
    """One named label of an instance, such as subclass = brain_glioma, with its origin."""

    __tablename__ = "labels"
    __table_args__ = (
        UniqueConstraint("instance_id", "name"),
        Index(None, "name", "value"),
        Index("ix_labels_several", "name", "value", sqlite_where=NAMES_SEVERAL, postgresql_where=NAMES_SEVERAL),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    value: Mapped[str] = mapped_column(String(200))
    origin: Mapped[str] = mapped_column(String(16))
    """A `cbmir.types.LabelOrigin`."""

    instance: Mapped[Instance] = relationship(back_populates="labels")


class Encoder(Base):
    """A trained encoder. Features of two encoders are never compared."""

    __tablename__ = "encoders"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Architecture and the first eight digits of the weights' SHA-256: `cnn-autoencoder-1a2b3c4d`."""
    architecture: Mapped[str] = mapped_column(String(64))
    weights_file: Mapped[str] = mapped_column(String(200))
    """Name within the weights folder; empty for an imported encoder, whose weights stayed where it was trained."""
    weights_sha256: Mapped[str] = mapped_column(String(64))
    dimension: Mapped[int]
    preprocessing: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Side in pixels, channels and value range of the input."""
    training: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Seed, epochs, optimiser, data hash, counts: what is needed to train it again."""
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`history`: one row an epoch with `epoch`, `train_loss`, `validation_loss`; `best_epoch`; `evaluations`."""
    generation: Mapped[int] = mapped_column(default=0)
    """Grows with every change of its features: a cached index with another number is out of date."""
    kept: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether new pictures get features of it; false from when they are freed until they are wanted again."""
    followed_from: Mapped[int] = mapped_column(default=0, server_default="0")
    """An index of an earlier generation cannot be brought up to date: what was deleted since is not on record."""
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Activation(Base):
    """A moment from which an encoder answered; the one of the last row answers now."""

    __tablename__ = "activations"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), index=True)
    activated_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Calibration(Base):
    """How far apart the gallery's own images are, by one encoder: what a query's distances are judged by."""

    __tablename__ = "calibrations"

    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), primary_key=True)
    generation: Mapped[int]
    """Of the features that it was made from."""
    features: Mapped[int]
    """How many these were."""
    method: Mapped[str] = mapped_column(String(32))
    """How a score is made: scores of two methods are never compared."""
    scores: Mapped[bytes] = mapped_column(LargeBinary)
    """float32, little endian, ascending: of a sample of the gallery, see `cbmir.services.retrieval.confidence`."""
    made_at: Mapped[datetime] = mapped_column(Moment, default=now)


class GroupPart(Base):
    """The part of the split in which a group stood when an encoder was trained."""

    __tablename__ = "group_parts"

    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[str] = mapped_column(String(16))
    """A `cbmir.types.Part`."""


class Feature(Base):
    """The vector that one encoder gives for one frame. It is patient data."""

    __tablename__ = "features"
    __table_args__ = (
        UniqueConstraint("encoder_id", "frame_id"),
        Index(None, "encoder_id", "pipeline"),
        Index(None, "encoder_id", "generation"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"))
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"), index=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float32, little endian, `dimension` numbers."""
    pipeline: Mapped[str] = mapped_column(String(64), server_default="")
    """Name and version of the conversion that made the picture which was encoded."""
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    """The encoder's, from when it was added."""


class DroppedFeature(Base):
    """A feature that was deleted: what every index has to be told that `Encoder.followed_from` lets follow."""

    __tablename__ = "dropped_features"
    __table_args__ = (Index(None, "encoder_id", "generation"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"))
    generation: Mapped[int]
    """The encoder's, from when it was deleted."""
    frame_id: Mapped[int]


class Job(Base):
    """A unit of work; the row is the truth, the broker only wakes a worker. Its id is the Celery task id."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "heartbeat_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """A `cbmir.types.JobKind`."""
    state: Mapped[str] = mapped_column(String(16))
    """A `cbmir.types.JobState`."""
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """Figures that a running job shows, such as the loss by epoch."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    """What is wrong; what an earlier version kept here ends with what to do."""
    error_remedy: Mapped[str] = mapped_column(Text, default="", server_default="")
    attempts: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the broker last took the message."""
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    heartbeat_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return JobState(self.state).is_final

    @property
    def error_sentence(self) -> str:
        """What is wrong and what to do in one line; empty without an error."""
        return f"{self.error_message or ''} {self.error_remedy}".strip()


class ExtractionPiece(Base):
    """A range of frames that one of the workers of a shared extraction works on, or has worked on."""

    __tablename__ = "extraction_pieces"
    __table_args__ = (UniqueConstraint("run", "after"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """The job that shares its work out."""
    after: Mapped[int]
    """The frames with an id above this one."""
    up_to: Mapped[int]
    """The last of them."""
    worker: Mapped[str] = mapped_column(String(36))
    """The job that works on them: the run itself, or one that helps."""
    claimed_at: Mapped[datetime] = mapped_column(Moment)
    """When that job was started: one that was started again does not hold what it held before."""
    extracted: Mapped[int | None]
    """How many of their features are new; None until the piece is done."""
    failures: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """Why a frame has no feature, by its id."""


class Quarantined(Base):
    """A file that was handed in and could not be used, with the reason and what to do."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("origin", "sha256"), Index(None, "sha256"))

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Text, default="")
    """Where the bytes are, for the administrator only: a path, or `zip!member`."""
    sha256: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    remedy: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class Query(Base):
    """A question asked of the gallery, and its answer."""

    __tablename__ = "queries"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    encoder_id: Mapped[str] = mapped_column(ForeignKey("encoders.id", ondelete="CASCADE"))
    picture: Mapped[str] = mapped_column(String(64))
    """The query's picture in the pictures folder."""
    frame_id: Mapped[int | None] = mapped_column(ForeignKey("frames.id", ondelete="SET NULL"), index=True)
    """The gallery's frame that was asked about, if it was one."""
    k: Mapped[int]
    where: Mapped[dict[str, Any]] = mapped_column(JSON)
    hits: Mapped[list[Any]] = mapped_column(JSON)
    """`cbmir.types.Hit.as_json` of each."""
    created_at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)


class SecretKey(Base):
    """What tells the secret key under which everything here was made from every other; never the key itself."""

    __tablename__ = "secret_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    """1: there is one row."""
    fingerprint: Mapped[str] = mapped_column(String(64))
