"""The registered versions, and what was done to their aliases, as rows of text for a table."""

from datetime import UTC, datetime
from typing import Final

from ml.registry.model_store import Event, Registered

HEADER: Final = ["version", "alias", "detector", "trained (UTC)", "rows", "customers", "budget", "threshold", "alerts"]


def cells(registered: Registered) -> list[str]:
    """The row of a version; empty where something is not known."""

    def number(value: float | str | None, form: str) -> str:
        return "" if value is None else format(float(value), form)

    params, metrics = registered.params, registered.metrics
    return [
        str(registered.version),
        ", ".join(registered.aliases),
        params.get("detector", ""),
        f"{registered.trained_at:%Y-%m-%d %H:%M}",
        number(params.get("rows"), ",.0f"),
        number(params.get("customers"), ",.0f"),
        number(params.get("budget"), ".2%"),
        number(metrics.get("threshold"), ".4f"),
        number(metrics.get("alert_share_check_part"), ".2%"),
    ]


EVENT_HEADER: Final = ["time (UTC)", "what", "version", "replaced", "by", "why", "gate", "trained on"]


def event_cells(event: Event) -> list[str]:
    """The row of an event; empty where something is not known."""
    return [
        f"{datetime.fromtimestamp(event.time / 1000, UTC):%Y-%m-%d %H:%M:%S}",
        event.action + _terms(event) + " (forced)" * event.forced,
        str(event.version),
        "" if event.replaced is None else str(event.replaced),
        event.by,
        event.why,
        _gate(event),
        _data(event),
    ]


def _terms(event: Event) -> str:
    scores, judges = event.terms.share, event.terms.judges
    return f" scores {scores:.0%}" * (scores < 1) + f" judges {judges:.2%}" * (judges > 0)


def _gate(event: Event) -> str:
    failed = [check.name for check in event.gate if check.passed is False]
    return f"failed: {', '.join(failed)}" if failed else "passed" * bool(event.gate)


def _data(event: Event) -> str:
    data = event.trained_on
    said = [data["history"]] if "history" in data else []
    said += [f"{int(data['rows']):,} rows"] if data.get("rows", "").isdecimal() else []
    said += [f"until {data['history_until'][:10]}"] if "history_until" in data else []
    return ", ".join(said)
