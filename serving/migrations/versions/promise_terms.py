"""What each promise was made for: promises of before say nothing of it, so they are made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the two terms."""
    op.add_column("calibrations", sa.Column("alpha", sa.Float(), nullable=True))
    op.add_column("calibrations", sa.Column("delta", sa.Float(), nullable=True))
