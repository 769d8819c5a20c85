"""Grafana's own alarm rules, made of those for Prometheus: for who has Grafana send alarms and no Alertmanager.

Grafana fires where a condition is not 0, Prometheus where an expression has a series, whatever its value. So the condition is
the expression to the power of 0: 1 for each series that it has.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

_FOLDER: Final = Path(__file__).parent
RULES: Final = _FOLDER.parent / "prometheus" / "rules"
FILE: Final = _FOLDER / "provisioning" / "alerting" / "scoreline.yml"

_HEAD: Final = "# Made of prometheus/rules by make dashboards: change those.\n"
_INTERVAL: Final = "30s"
_RANGE_SECONDS: Final = 600
"""What Grafana shows of a rule's past; an instant query asks for no range."""


def text() -> str:
    """What `FILE` holds: the rules as Grafana's file provisioning takes them."""
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    content = {"apiVersion": 1, "groups": [_group(group) for group in groups]}
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _group(group: dict[str, Any]) -> dict[str, Any]:
    rules = [_rule(rule) for rule in group["rules"]]
    return {"orgId": 1, "name": group["name"], "folder": "Scoreline", "interval": _INTERVAL, "rules": rules}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A is the value that a person reads, B the condition. Without data there is no alarm, as in Prometheus."""
    return {
        "uid": _uid(rule["alert"]),
        "title": rule["alert"],
        "condition": "B",
        # Adding 0 takes the metric's name off, as the power does: Grafana joins both by their labels.
        "data": [_query("A", f"({rule['expr']}) + 0"), _query("B", f"({rule['expr']}) ^ 0")],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "annotations": {name: _of_grafana(note) for name, note in rule["annotations"].items()},
        "labels": rule["labels"],
        "isPaused": False,
    }


def _query(name: str, expression: str) -> dict[str, Any]:
    """In what is asked, Grafana replaces what a $ begins by a variable of its environment, so that each is doubled."""
    model = {"refId": name, "expr": expression.replace("$", "$$"), "instant": True, "range": False}
    return {
        "refId": name,
        "relativeTimeRange": {"from": _RANGE_SECONDS, "to": 0},
        "datasourceUid": "scoreline-prometheus",
        "model": model,
    }


def _uid(alarm: str) -> str:
    """An alarm's identity in Grafana.

    >>> _uid("ScorelineJobDown")
    'scoreline-job-down'
    """
    return re.sub("(?<!^)(?=[A-Z])", "-", alarm).lower()


def _of_grafana(note: str) -> str:
    """A text in which Prometheus' value is Grafana's.

    >>> _of_grafana("{{ $labels.query }} is {{ $value | humanizeDuration }} behind")
    '{{ $labels.query }} is {{ $values.A.Value | humanizeDuration }} behind'
    """
    return note.replace("$value ", "$values.A.Value ")
