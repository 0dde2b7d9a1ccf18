"""Videos of Label Studio, whose stills are items."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Adds the table; no video was understood before."""
    op.create_table(
        "studio_films",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("studio_task", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("frames_per_s", sa.Float(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("stills", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("task", "studio_task", name=op.f("pk_studio_films")),
    )
