"""What an index needs to follow the features: the generation of each, and which were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table; features that are there count as of generation 0."""
    # plain ALTER TABLE, which SQLite knows too: batch mode would copy each table and forget its AUTOINCREMENT
    op.add_column("encoders", sa.Column("followed_from", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("features", sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_features_encoder_id_generation"), "features", ["encoder_id", "generation"])
    op.create_table(
        "dropped_features",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["encoders.id"],
            name=op.f("fk_dropped_features_encoder_id_encoders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dropped_features")),
    )
    op.create_index(
        op.f("ix_dropped_features_encoder_id_generation"), "dropped_features", ["encoder_id", "generation"]
    )


def downgrade() -> None:
    """Drop them; an index file that is kept is then not understood any more, and built anew."""
    op.drop_table("dropped_features")
    op.drop_index(op.f("ix_features_encoder_id_generation"), table_name="features")
    op.drop_column("features", "generation")
    op.drop_column("encoders", "followed_from")
