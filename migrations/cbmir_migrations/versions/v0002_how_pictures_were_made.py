"""How pictures were made: what the header says of it, the steps, and the conversion behind each feature."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANCES = (
    "photometric",
    "burned_in_annotation",
    "laterality",
    "view_position",
    "ultrasound_regions",
    "frame_count",
)


def upgrade() -> None:
    """Add the columns; a feature's conversion is that of its frame, as far as that is known today."""
    # plain ALTER TABLE, which SQLite knows too: batch mode would copy each table and forget its AUTOINCREMENT
    op.add_column("instances", sa.Column("photometric", sa.String(length=16), nullable=True))
    op.add_column("instances", sa.Column("burned_in_annotation", sa.String(length=3), nullable=True))
    op.add_column("instances", sa.Column("laterality", sa.String(length=1), nullable=True))
    op.add_column("instances", sa.Column("view_position", sa.String(length=16), nullable=True))
    op.add_column("instances", sa.Column("ultrasound_regions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("instances", sa.Column("frame_count", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("frames", sa.Column("steps", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("features", sa.Column("pipeline", sa.String(length=64), nullable=False, server_default=""))
    op.execute(
        "UPDATE instances SET frame_count = (SELECT count(*) FROM frames WHERE frames.instance_id = instances.id) "
        "WHERE EXISTS (SELECT 1 FROM frames WHERE frames.instance_id = instances.id)"
    )
    op.execute(
        "UPDATE features SET pipeline = (SELECT frames.pipeline FROM frames WHERE frames.id = features.frame_id)"
    )
    op.create_index(op.f("ix_features_encoder_id_pipeline"), "features", ["encoder_id", "pipeline"])


def downgrade() -> None:
    """Drop the columns and what they hold."""
    op.drop_index(op.f("ix_features_encoder_id_pipeline"), table_name="features")
    op.drop_column("features", "pipeline")
    op.drop_column("frames", "steps")
    for column in INSTANCES:
        op.drop_column("instances", column)
