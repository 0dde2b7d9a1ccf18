"""Checks that contradict a sure version are looked at a second time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the moment at which a second look was asked for; none was before."""
    op.add_column("item_tasks", sa.Column("contested_at", sa.DateTime(timezone=True), nullable=True))
