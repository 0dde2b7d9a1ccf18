"""Items whose answers are known are handed to people who are not told."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Tells such leases and answers from the others; of before there were none."""
    for table in ("leases", "corrections"):
        op.add_column(table, sa.Column("planted", sa.Boolean(), nullable=False, server_default=sa.false()))
        op.create_index(f"ix_{table}_planted", table, ["task"],
                        sqlite_where=sa.text("planted = 1"), postgresql_where=sa.text("planted"))  # fmt: skip
