"""Which parts of an answer are accepted unseen, and whether a person is asked what is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the plan; answers of before have none: a person sees all of them, or nothing."""
    op.add_column("preannotations", sa.Column("parts", sa.JSON(), nullable=True))
