"""From when on checks count: what was found before a promise was broken says nothing of what came after."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the moment; promises of before were never withdrawn."""
    op.add_column("calibrations", sa.Column("checks_from", sa.DateTime(timezone=True), nullable=True))
