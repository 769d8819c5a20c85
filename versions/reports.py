"""What jobs and services report of themselves to the topic of events; a report neither waits nor raises."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from messaging.events import publish
from ml.schema import Event, Severity
from settings import Settings

Report = Callable[[str, bool], None]
"""(words, whether it is over)."""

_MOST_WORDS: Final = 2_000
_MOST_OF_A_SUBJECT: Final = 256


def no_report(words: str, resolved: bool) -> None:
    """Report nothing."""


def reports(settings: Settings, source: str, kind: str, severity: Severity, subject: str) -> Report:
    """Reports that something is wrong with a subject, and that it is over. source: the part that says so."""

    def report(words: str, resolved: bool) -> None:
        event = Event(
            at=datetime.now(UTC),
            kind=kind,
            severity=severity,
            subject=subject[:_MOST_OF_A_SUBJECT],
            words=words[:_MOST_WORDS],
            source=source,
            resolved=resolved,
        )
        publish(settings, event)

    return report
