"""Labels whose values name several are found by each, and values are tidied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEX = "ix_labels_several"
NAMES_SEVERAL = sa.text("replace(value, '|', '') <> value")
LABELS = sa.table("labels", sa.column("name", sa.String()), sa.column("value", sa.String()))


def upgrade() -> None:
    """Tidy what is there, as what comes is from now on, and add an index."""
    connection = op.get_bind()
    for name, value in connection.execute(sa.select(LABELS.c.name, LABELS.c.value).distinct()).all():
        if (tidied := _tidied(value)) not in ("", value):
            same = sa.and_(LABELS.c.name == name, LABELS.c.value == value)
            connection.execute(sa.update(LABELS).where(same).values(value=tidied))
    op.create_index(INDEX, "labels", ["name", "value"], sqlite_where=NAMES_SEVERAL, postgresql_where=NAMES_SEVERAL)


def downgrade() -> None:
    """Drop the index; the values stay tidy."""
    op.drop_index(INDEX, "labels")


def _tidied(value: str) -> str:
    """One blank for each run of blanks and line breaks, none beside a separator; each label once."""
    whole = " ".join(value.split())
    parts = dict.fromkeys(part.strip() for part in whole.split("|"))
    return "|".join(part for part in parts if part) or whole
