"""Items may be due, each by a time of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Adds the time; no item of before had any."""
    op.add_column("item_tasks", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_item_tasks_due", "item_tasks", ["task", "due_at", "state"],
                    sqlite_where=sa.text("due_at IS NOT NULL"),
                    postgresql_where=sa.text("due_at IS NOT NULL"))  # fmt: skip
