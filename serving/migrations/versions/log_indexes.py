"""Indexes under the audit log: a page of it costs the same however long it is."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds them."""
    op.create_index("ix_events_at_id", "events", ["at", "id"])
    op.create_index("ix_events_actor_at_id", "events", ["actor", "at", "id"])
    op.create_index("ix_events_verb_at_id", "events", ["verb", "at", "id"])
