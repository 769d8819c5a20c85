"""The first version of the store: all its tables, and a history that only grows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_BIG, _FLOAT, _TEXT = sa.BigInteger(), sa.Float(), sa.Text()
_ID, _WORD = sa.String(256), sa.String(16)


def _must(name: str, kind: Any, *more: sa.ForeignKey) -> sa.Column[Any]:
    return sa.Column(name, kind, *more, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    _cases()
    _alerts()
    _decisions()
    op.create_table(
        "feed_offsets",
        sa.Column("topic", _ID, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        _must("next_offset", _BIG),
    )
    _history()


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("customer_id", _ID),
        _must("opened_at", _BIG),
        _must("last_at", _BIG),
        sa.Column("closed_at", _BIG),
        sa.Column("assigned_to", _ID),
    )
    op.create_index("ix_cases_customer_id", "cases", ["customer_id"])
    op.create_table(
        "suppressions",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("kind", _WORD),
        _must("value", _ID),
        _must("mode", _WORD),
        _must("reason", _TEXT),
        _must("begins_at", _BIG),
        _must("ends_at", _BIG),
        _must("made_by", _ID),
        sa.Column("lifted_at", _BIG),
    )
    op.create_index("suppressions_by_end", "suppressions", ["ends_at"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("case_id", _BIG, sa.ForeignKey("cases.id")),
        _must("log", _ID),
        _must("partition", sa.Integer()),
        _must("offset", _BIG),
        _must("transaction_id", _ID),
        _must("customer_id", _ID),
        sa.Column("merchant_id", _ID),
        sa.Column("country", sa.String(2)),
        _must("event_time", _BIG),
        _must("amount", _FLOAT),
        _must("worth", _FLOAT),
        _must("score", _FLOAT),
        _must("exposure", _FLOAT),
        _must("rule", _ID),
        _must("model_version", sa.Integer()),
        sa.Column("early_at", _BIG),
        sa.Column("spark_at", _BIG),
        _must("arrived_at", _BIG),
        _must("state", _WORD),
        _must("hidden_until", _BIG),
        sa.Column("suppression_id", _BIG, sa.ForeignKey("suppressions.id")),
        sa.Column("verdict", _WORD),
        _must("record", _TEXT),
        sa.UniqueConstraint("log", "partition", "offset", "transaction_id", name="one_row_a_transaction"),
    )
    for name in ("case_id", "transaction_id", "customer_id", "merchant_id"):
        op.create_index(f"ix_alerts_{name}", "alerts", [name])
    op.create_index("alerts_by_state", "alerts", ["state", "exposure"])


def _decisions() -> None:
    op.create_table(
        "verdicts",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("alert_id", _BIG, sa.ForeignKey("alerts.id")),
        _must("verdict", _WORD),
        _must("note", _TEXT),
        _must("said_by", _ID),
        _must("said_at", _BIG),
        sa.Column("withdrawn_at", _BIG),
        _must("token", sa.String(64)),
        sa.UniqueConstraint("token", "alert_id", name="one_verdict_a_form"),
    )
    op.create_index("ix_verdicts_alert_id", "verdicts", ["alert_id"])
    op.create_index("ix_verdicts_said_by", "verdicts", ["said_by"])
    op.create_table(
        "outbox",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("alert_id", _BIG, sa.ForeignKey("alerts.id")),
        _must("label", _TEXT),
        _must("said_by", _ID),
        _must("made_at", _BIG),
        sa.Column("sent_at", _BIG),
    )
    op.create_index("outbox_by_sent", "outbox", ["sent_at", "id"])
    op.create_table(
        "locks",
        sa.Column("case_id", _BIG, sa.ForeignKey("cases.id"), primary_key=True, autoincrement=False),
        _must("held_by", _ID),
        _must("until", _BIG),
    )


def _history() -> None:
    op.create_table(
        "history",
        sa.Column("id", _NUMBER, primary_key=True),
        _must("at", _BIG),
        _must("who", _ID),
        _must("what", sa.String(32)),
        sa.Column("case_id", _BIG),
        sa.Column("alert_id", _BIG),
        _must("detail", _TEXT),
    )
    op.create_index("ix_history_case_id", "history", ["case_id"])
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER history_no_{change.lower()} BEFORE {change} ON history "
                "BEGIN SELECT RAISE(ABORT, 'the history only grows'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION history_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the history only grows'; END $$"
    )
    op.execute(
        "CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON history "
        "FOR EACH STATEMENT EXECUTE FUNCTION history_only_grows()"
    )
