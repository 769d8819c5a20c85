"""The case store: alerts, cases, verdicts and what everyone did, in SQLite or PostgreSQL."""
