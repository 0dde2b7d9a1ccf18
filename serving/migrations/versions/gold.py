"""Items may be chosen as gold, and come with the label that is known to be right."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Tells chosen items and known labels from the others; of before there were none."""
    op.add_column("item_tasks", sa.Column("gold_at", sa.DateTime(timezone=True)))
    op.create_index("ix_item_tasks_gold", "item_tasks", ["task", "item_id"],
                    sqlite_where=sa.text("gold_at IS NOT NULL"),
                    postgresql_where=sa.text("gold_at IS NOT NULL"))  # fmt: skip
    op.add_column("corrections", sa.Column("known", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_corrections_known", "corrections", ["task", "item_id"], sqlite_where=sa.text("known = 1"),
                    postgresql_where=sa.text("known"))  # fmt: skip
