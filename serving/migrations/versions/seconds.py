"""Indexes under the figures of today and of the last corrections."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds them."""
    op.create_index("ix_corrections_task_received_at_seconds", "corrections", ["task", "received_at", "seconds"])
    op.create_index("ix_corrections_task_id", "corrections", ["task", "id"])
