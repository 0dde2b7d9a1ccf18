"""Items have a language, and decisions say what would change them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds both; nobody knows either of what was there before."""
    op.add_column("items", sa.Column("language", sa.String(), nullable=True))
    op.add_column("preannotations", sa.Column("otherwise", sa.String(), nullable=True))
