"""Policies and items for the tests."""

from typing import Any

import msgspec

from ml.yaml_file import plain
from notifications.condition import TYPES
from notifications.items import Item, Names
from notifications.policy import Policy, PolicyFile


def policy(text: str) -> Policy:
    """A policy of YAML."""
    return Policy(msgspec.convert(plain(text), PolicyFile))


def alert(number: int, customer: str = "c", amount: float = 100.0, at: float = 0.0, score: float = 0.9) -> Item:
    """An alert."""
    names = Names(transaction_id=f"t{number}", customer_id=customer, currency="EUR", record="alert", severity="warning")
    facts: dict[str, Any] = dict.fromkeys(TYPES) | {"record": "alert", "customer_id": customer, "amount": amount}
    facts |= {"anomaly_score": score, "severity": "warning"}
    return Item(f"alert/0/{number}", "alert", at, "warning", names, ("why",), score, amount, facts=facts)


def event(number: int, kind: str = "no_progress", severity: Any = "critical", resolved: bool = False) -> Item:
    """An event of the system."""
    names = Names(record="event", event=kind, subject="query publish", severity=severity)
    facts: dict[str, Any] = dict.fromkeys(TYPES) | {"record": "event", "event": kind, "severity": severity}
    return Item(f"event/0/{number}", "event", 0.0, severity, names, ("words",), resolved=resolved, facts=facts)
