"""The history of an SQLite store refuses a row in the place of another too, which its triggers of before did not see."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the trigger; PostgreSQL's refuses all that changes a row."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER history_no_replacement BEFORE INSERT ON history "
            "WHEN EXISTS (SELECT 1 FROM history WHERE id = NEW.id) "
            "BEGIN SELECT RAISE(ABORT, 'the history only grows'); END"
        )
