"""Sessions: who is signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    big, word, text = sa.BigInteger(), sa.String(16), sa.String(64)
    op.create_table(
        "sessions",
        sa.Column("token_hash", text, primary_key=True),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("role", word, nullable=False),
        sa.Column("way", word, nullable=False),
        sa.Column("stamp", text, nullable=False),
        sa.Column("made_at", big, nullable=False),
        sa.Column("seen_at", big, nullable=False),
        sa.Column("ends_at", big, nullable=False),
    )
    op.create_index("ix_sessions_name", "sessions", ["name"])
