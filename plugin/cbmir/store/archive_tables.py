"""The tables of archives that are followed; `tables` has all others, and these by their names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from cbmir.store.base import NEVER_REUSED, Base, Moment, now


class Archive(Base):
    """An archive (PACS) that is followed, and how that goes."""

    __tablename__ = "archives"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    """A `cbmir.archive.connection.ArchiveKind`."""
    address: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`cbmir.archive.connection.Connection.options`."""
    sealed_credentials: Mapped[bytes] = mapped_column(LargeBinary)
    """`cbmir.archive.connection.Credentials` as JSON, encrypted: see `cbmir.services.archives.sealing`."""
    paused: Mapped[bool] = mapped_column(default=False)
    """Whether it is left alone until somebody says otherwise."""
    cursor: Mapped[str] = mapped_column(Text, default="")
    """Where its log is read on; empty before the first sweep, and where it keeps none."""
    allowed_deletions: Mapped[int] = mapped_column(default=0)
    """Largest number of objects that the next sweep may delete beyond what is usual: an administrator's word."""
    drop_unmatched: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the next sweep deletes here what the rules do not want any more: an administrator's word."""
    connected: Mapped[bool | None]
    """Whether it answered last; None before it was ever asked."""
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    checked_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it was last asked."""
    changed_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it last held something new, changed or deleted."""
    swept_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it was last compared as a whole."""
    sweep_wanted: Mapped[bool] = mapped_column(default=True)
    follower: Mapped[str] = mapped_column(String(64), default="")
    """The process that follows it, by a name of its own, until `followed_until`."""
    followed_until: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class ArchiveStudy(Base):
    """A study as an archive listed it last: what differs from this is looked into."""

    __tablename__ = "archive_studies"
    __table_args__ = (Index(None, "archive_id", "fetched_at"),)

    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    instances: Mapped[int | None]
    """How many the archive says that it has."""
    listed: Mapped[int] = mapped_column(default=0)
    """How many it listed when it was asked for them."""
    stamp: Mapped[str] = mapped_column(String(64), default="")
    """The patient's pseudonym, Study Date, and what else tells of a change, hashed: `archive_studies.stamp`."""
    listed_at: Mapped[datetime] = mapped_column(Moment, default=now)
    """When its instances were last compared one by one."""
    fetched_at: Mapped[datetime | None] = mapped_column(Moment, default=now)
    """When all of them were last to be fetched; None where an earlier version did not keep it."""


PUT_OFF = text("retry_at IS NOT NULL")
"""Of an archive's objects the few that could not be had: the index of these costs the others nothing."""


class ArchiveObject(Base):
    """An object that an archive holds, or held, and what became of it here."""

    __tablename__ = "archive_objects"
    __table_args__ = (
        UniqueConstraint("archive_id", "sop_instance_uid"),
        Index(None, "archive_id", "state"),
        Index(None, "archive_id", "study_instance_uid"),
        Index(None, "archive_id", "remote_id"),
        Index(None, "sop_instance_uid"),
        Index(None, "series_instance_uid"),
        Index(None, "archive_id", "retry_at", sqlite_where=PUT_OFF, postgresql_where=PUT_OFF),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    study_instance_uid: Mapped[str] = mapped_column(String(64))
    sop_class_uid: Mapped[str] = mapped_column(String(64), default="")
    modality: Mapped[str] = mapped_column(String(16), default="")
    remote_id: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[str] = mapped_column(String(64), default="")
    """`cbmir.archive.base.RemoteInstance.digest`."""
    state: Mapped[str] = mapped_column(String(16))
    """A `cbmir.types.ObjectState`."""
    revision: Mapped[int] = mapped_column(default=1)
    """Grows whenever the object is found new or changed: what was fetched before is then out of date."""
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None] = mapped_column(Moment)
    """Before this moment it is not fetched again."""
    error_code: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(Moment, default=now)


class ArchiveNotice(Base):
    """What an archive's own script told us, until the follower has taken it in; in the order of ids."""

    __tablename__ = "archive_notices"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), index=True)
    remote_id: Mapped[str] = mapped_column(String(64))
    deleted: Mapped[bool]
    """Whether the object was deleted; else it is new or was replaced."""
