"""The first tables: items and what was said of them, the queue, versions, tokens, the log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("item_group", sa.String(), nullable=True),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_tokens_sha256")),
    )
    op.create_table(
        "versions",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("onnx_sha256", sa.String(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("added_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_versions")),
    )
    op.create_index(
        "uq_versions_one_serving",
        "versions",
        ["task"],
        unique=True,
        sqlite_where=sa.text("state = 'serving'"),
        postgresql_where=sa.text("state = 'serving'"),
    )
    op.create_table(
        "calibrations",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("calibrator", sa.JSON(), nullable=False),
        sa.Column("promise", sa.JSON(), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["versions.name"], name=op.f("fk_calibrations_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrations")),
    )
    op.create_index("ix_calibrations_version_id", "calibrations", ["version", "id"], unique=False)
    op.create_table(
        "item_tasks",
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("draw", sa.Float(), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("preannotation_id", BIG_ID, nullable=True),
        sa.Column("correction_id", BIG_ID, nullable=True),
        sa.Column("lease_id", sa.String(), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_item_tasks_item_id")),
        sa.PrimaryKeyConstraint("item_id", "task", name=op.f("pk_item_tasks")),
    )
    op.create_index("ix_item_tasks_by_draw", "item_tasks", ["task", "state", "audit", "draw", "item_id"], unique=False)
    op.create_index(
        "ix_item_tasks_by_priority",
        "item_tasks",
        ["task", "state", "audit", sa.literal_column("priority DESC"), "item_id"],
        unique=False,
    )
    op.create_index(
        "ix_item_tasks_by_version",
        "item_tasks",
        ["task", "state", "version", sa.literal_column("priority DESC"), "item_id"],
        unique=False,
    )
    op.create_table(
        "promotions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("previous", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("quality", sa.Float(), nullable=True),
        sa.Column("previous_quality", sa.Float(), nullable=True),
        sa.Column("gold_items", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["versions.name"], name=op.f("fk_promotions_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    op.create_table(
        "trained_items",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["versions.name"], name=op.f("fk_trained_items_version")),
        sa.PrimaryKeyConstraint("version", "item_id", name=op.f("pk_trained_items")),
    )
    op.create_table(
        "corrections",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("counted_at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("model_version", sa.String(), nullable=True),
        sa.Column("lease_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"], name=op.f("fk_corrections_item_id_task")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("key", name=op.f("uq_corrections_key")),
    )
    op.create_index("ix_corrections_item_id_task", "corrections", ["item_id", "task"], unique=False)
    op.create_table(
        "leases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("leased_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("correction_id", BIG_ID, nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"], name=op.f("fk_leases_item_id_task")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
    )
    op.create_index("ix_leases_item_id_task", "leases", ["item_id", "task"], unique=False)
    op.create_table(
        "preannotations",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("p_error", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"], name=op.f("fk_preannotations_item_id_task")
        ),
        sa.ForeignKeyConstraint(["version"], ["versions.name"], name=op.f("fk_preannotations_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preannotations")),
        sa.UniqueConstraint("item_id", "task", "version", name=op.f("uq_preannotations_item_id_task_version")),
    )
    op.create_index("ix_preannotations_version_id", "preannotations", ["version", "id"], unique=False)
