"""Projects, tasks, annotations and events of Label Studio; corrections that were withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds them."""
    op.add_column("corrections", sa.Column("withdrawn_at", TIME, nullable=True))
    op.create_table(
        "studio_projects",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("project", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("attached_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("task", "project", name=op.f("pk_studio_projects")),
    )
    op.create_table(
        "studio_tasks",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("studio_task", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_studio_tasks_item_id_items")),
        sa.PrimaryKeyConstraint("task", "studio_task", name=op.f("pk_studio_tasks")),
    )
    op.create_table(
        "studio_annotations",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("annotation", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("project", sa.Integer(), nullable=True),
        sa.Column("studio_task", BIG_ID, nullable=True),
        sa.Column("changed_at", TIME, nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("corrections", sa.JSON(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("task", "annotation", name=op.f("pk_studio_annotations")),
    )
    op.create_table(
        "studio_events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studio_events")),
    )
    op.create_index("ix_studio_events_dead_due_at", "studio_events", ["dead", "due_at"])
