"""What people look for in lists: indexes, and the beginning of each transcript."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

FAILED = sa.text("state = 'failed'")


def upgrade() -> None:
    """Adds them."""
    op.add_column("preannotations", sa.Column("text", sa.String(), nullable=True))
    said = "json_extract(label, '$.text')" if op.get_bind().dialect.name == "sqlite" else "label ->> 'text'"
    op.execute(f"UPDATE preannotations SET text = substr({said}, 1, 500) WHERE task = 'asr'")
    op.create_index("ix_preannotations_task_text", "preannotations", ["task", "text"])
    op.create_index("ix_items_item_group", "items", ["item_group"])
    op.create_index(
        "ix_item_tasks_failed",
        "item_tasks",
        ["updated_at", "item_id"],
        sqlite_where=FAILED,
        postgresql_where=FAILED,
    )
    op.create_index("ix_corrections_task_annotator", "corrections", ["task", "annotator"])
    op.create_index("ix_corrections_seconds", "corrections", ["task", "model_version", "received_at", "seconds"])
    op.create_index("ix_studio_tasks_item_id", "studio_tasks", ["item_id"])
    op.create_index("ix_studio_annotations_task_studio_task", "studio_annotations", ["task", "studio_task"])
