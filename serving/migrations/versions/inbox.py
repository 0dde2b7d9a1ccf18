"""One inbox for what every tool tells; the frames of CVAT, and the time of its jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
KEPT = "task, body, received_at, due_at, attempts, failure, dead"


def upgrade() -> None:
    """Adds them; the events of Label Studio move into the inbox."""
    op.create_table(
        "inbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_tool_dead_due_at", "inbox", ["tool", "dead", "due_at"])
    op.execute(f"INSERT INTO inbox (tool, {KEPT}) SELECT 'label-studio', {KEPT} FROM studio_events ORDER BY id")
    op.drop_table("studio_events")
    op.create_table(
        "cvat_frames",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("pixels", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_cvat_frames_item_id_items")),
        sa.PrimaryKeyConstraint("task", "pixels", name=op.f("pk_cvat_frames")),
    )
    op.create_table(
        "cvat_jobs",
        sa.Column("job", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("job", "annotator", name=op.f("pk_cvat_jobs")),
    )
