"""Archives that are followed: how each is reached, what it listed last, and what became of its objects here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, the one that others point to first."""
    _create_archives()
    _create_notices()
    _create_objects()
    _create_studies()
    op.create_index(op.f("ix_quarantine_sha256"), "quarantine", ["sha256"])


def downgrade() -> None:
    """Drop the tables; what was ingested from archives stays."""
    op.drop_index(op.f("ix_quarantine_sha256"), table_name="quarantine")
    for table in ("archive_studies", "archive_objects", "archive_notices", "archives"):
        op.drop_table(table)


def _create_archives() -> None:
    op.create_table(
        "archives",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("sealed_credentials", sa.LargeBinary(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("allowed_deletions", sa.Integer(), nullable=False),
        sa.Column("connected", sa.Boolean(), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sweep_wanted", sa.Boolean(), nullable=False),
        sa.Column("follower", sa.String(length=64), nullable=False),
        sa.Column("followed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archives")),
        sa.UniqueConstraint("name", name=op.f("uq_archives_name")),
        sqlite_autoincrement=True,
    )


def _create_notices() -> None:
    op.create_table(
        "archive_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("archive_id", sa.Integer(), nullable=False),
        sa.Column("remote_id", sa.String(length=64), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        _of_archive("archive_notices"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_notices")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_archive_notices_archive_id"), "archive_notices", ["archive_id"])


def _create_objects() -> None:
    op.create_table(
        "archive_objects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("archive_id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("remote_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        _of_archive("archive_objects"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_objects")),
        sa.UniqueConstraint(
            "archive_id", "sop_instance_uid", name=op.f("uq_archive_objects_archive_id_sop_instance_uid")
        ),
        sqlite_autoincrement=True,
    )
    for column in ("remote_id", "state", "study_instance_uid"):
        name = f"ix_archive_objects_archive_id_{column}"
        op.create_index(op.f(name), "archive_objects", ["archive_id", column])
    for column in ("sop_instance_uid", "series_instance_uid"):
        op.create_index(op.f(f"ix_archive_objects_{column}"), "archive_objects", [column])


def _create_studies() -> None:
    op.create_table(
        "archive_studies",
        sa.Column("archive_id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.String(length=64), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        _of_archive("archive_studies"),
        sa.PrimaryKeyConstraint("archive_id", "study_instance_uid", name=op.f("pk_archive_studies")),
    )


def _of_archive(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_archive_id_archives")
    return sa.ForeignKeyConstraint(["archive_id"], ["archives.id"], name=name, ondelete="CASCADE")
