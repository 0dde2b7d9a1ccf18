"""An index by which each webhook's next messages are found."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Adds it."""
    op.create_index("ix_outbox_webhook_dead_id", "outbox", ["webhook", "dead", "id"])
