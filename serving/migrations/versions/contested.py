"""An index under what waits, or waited, for a second look."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Adds it."""
    op.create_index("ix_item_tasks_contested", "item_tasks", ["task", "item_id"],
                    sqlite_where=sa.text("contested_at IS NOT NULL"),
                    postgresql_where=sa.text("contested_at IS NOT NULL"))  # fmt: skip
