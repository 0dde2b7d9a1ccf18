"""People may say that an item cannot be labelled, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table of such words, and which of them ended a lease."""
    op.create_table(
        "unfit",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_id", sa.String(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"], name="fk_unfit_item_id_task_item_tasks"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_unfit"),
        sa.UniqueConstraint("key", name="uq_unfit_key"),
    )
    op.create_index("ix_unfit_item_id_task", "unfit", ["item_id", "task"])
    op.create_index("ix_unfit_task_received_at_seconds", "unfit", ["task", "received_at", "seconds"])
    op.add_column("leases", sa.Column("unfit_id", _BIG_ID, nullable=True))
