"""Events of what the watcher finds and does; those of promotions, rollbacks and trials are sent by their commands."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from messaging.events import publish
from ml.schema import Event, Severity
from settings import Settings
from watch.steps import Entry

SOURCE: Final = "watch"
_MOST_WORDS: Final = 2_000


def announcing(settings: Settings, model_name: str) -> Callable[[Entry], None]:
    """What is called with each entry of the journal: it neither waits nor raises."""

    def announce(entry: Entry) -> None:
        event = event_of(entry, f"model {model_name}"[:256])
        if event is not None:
            publish(settings, event)

    return announce


def event_of(entry: Entry, subject: str) -> Event | None:
    """The event of an entry; None for what needs no report, or has one already."""
    found = _found(entry)
    if found is None:
        return None
    kind, severity, words = found
    return Event(
        at=datetime.fromtimestamp(entry.time / 1000, UTC),
        kind=kind,
        severity=severity,
        subject=subject,
        words=words[:_MOST_WORDS],
        source=SOURCE,
        data={"step": entry.id, "version": entry.version or entry.step.version},
    )


def _found(entry: Entry) -> tuple[str, Severity, str] | None:
    step = entry.step
    if entry.phase == "failed":
        return "watch_failed", "warning", f"the step {step.kind} failed: {entry.said or step.why}"
    match step.kind, entry.phase:
        case "alarm", "done":
            return "drift", "warning", f"{step.why}: the watcher retrains when labels have come"
        case "train", "begun":
            return "retraining", "info", f"training {step.detector}: {step.why}"
        case "train", "done":
            return "retraining", "info", f"trained {entry.said}"
        case "gate", "done":
            return "gate", "info" if entry.passed else "warning", f"the gate, of version {step.version}: {entry.said}"
    return None
