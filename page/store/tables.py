"""The tables of the case store, as the newest migration leaves them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

LONGEST_ID: Final = 256
"""Characters of an id that are kept in a column of its own; the whole one is in the record."""

_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up a column of exactly the type INTEGER alone."""

metadata: Final = MetaData()

cases: Final = Table(
    "cases",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("customer_id", String(LONGEST_ID), nullable=False, index=True),
    Column("opened_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("assigned_to", String(LONGEST_ID)),
)
"""The alerts of one customer that belong together. Times: ms since the epoch. closed_at: null while one has no verdict."""

suppressions: Final = Table(
    "suppressions",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("value", String(LONGEST_ID), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("made_by", String(LONGEST_ID), nullable=False),
    Column("lifted_at", BigInteger),
    Index("suppressions_by_end", "ends_at"),
)
"""What keeps alerts out of the queue. kind: customer, merchant or rule. mode: snooze, of which they come back at the end, or
suppress."""

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("case_id", ForeignKey("cases.id"), nullable=False, index=True),
    Column("log", String(LONGEST_ID), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("transaction_id", String(LONGEST_ID), nullable=False, index=True),
    Column("customer_id", String(LONGEST_ID), nullable=False, index=True),
    Column("merchant_id", String(LONGEST_ID), index=True),
    Column("country", String(2)),
    Column("event_time", BigInteger, nullable=False),
    Column("amount", Float, nullable=False),
    Column("worth", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("exposure", Float, nullable=False),
    Column("rule", String(LONGEST_ID), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("early_at", BigInteger),
    Column("spark_at", BigInteger),
    Column("arrived_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("hidden_until", BigInteger, nullable=False),
    Column("suppression_id", ForeignKey("suppressions.id")),
    Column("verdict", String(16)),
    Column("record", Text, nullable=False),
    UniqueConstraint("log", "partition", "offset", "transaction_id", name="one_row_a_transaction"),
    Index("alerts_by_state", "state", "exposure"),
)
"""One row a transaction that is an alert, whichever lane said so. log: the id of the topic of transactions. worth: its amount
in the base currency. exposure: score × worth. rule: the feature that is its first reason. early_at, spark_at: when each lane's
alert was on its topic; arrived_at: the first of them. state: open, decided or suppressed. record: the score as JSON."""

verdicts: Final = Table(
    "verdicts",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("said_by", String(LONGEST_ID), nullable=False, index=True),
    Column("said_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("token", String(64), nullable=False),
    UniqueConstraint("token", "alert_id", name="one_verdict_a_form"),
)
"""What analysts said. token: of the form that was sent, so that a form that is sent twice is one verdict."""

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("said_by", String(LONGEST_ID), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index("outbox_by_sent", "sent_at", "id"),
)
"""Labels to send, written together with their verdicts. sent_at: when Kafka had confirmed it; null until then."""

locks: Final = Table(
    "locks",
    metadata,
    Column("case_id", ForeignKey("cases.id"), primary_key=True),
    Column("held_by", String(LONGEST_ID), nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Which analyst works on which case, until when."""

history: Final = Table(
    "history",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(LONGEST_ID), nullable=False),
    Column("what", String(32), nullable=False),
    Column("case_id", BigInteger, index=True),
    Column("alert_id", BigInteger),
    Column("detail", Text, nullable=False),
)
"""Everything that anyone did. The database refuses to change or delete a row."""

feed_offsets: Final = Table(
    "feed_offsets",
    metadata,
    Column("topic", String(LONGEST_ID), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""How far the alerts are taken in, in the transactions that take them in. topic: its name and its id."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(LONGEST_ID), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("way", String(16), nullable=False),
    Column("stamp", String(64), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
)
"""Who is signed in. token_hash: SHA-256 of what the cookie holds. way: password or provider. stamp: of the password that the
session was begun with."""
