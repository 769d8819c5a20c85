"""What the job reports of its queries to the topic of events; a report neither waits nor raises."""

from collections.abc import Callable
from datetime import UTC, datetime

from messaging.events import publish
from ml.schema import Event, Severity
from settings import Settings

Report = Callable[[str, bool], None]
"""(words, whether it is over)."""


def no_report(words: str, resolved: bool) -> None:
    """Report nothing."""


def progress_reports(settings: Settings, query: str, severity: Severity) -> Report:
    """Reports that a query makes no progress, and that it goes on."""

    def report(words: str, resolved: bool) -> None:
        event = Event(
            at=datetime.now(UTC),
            kind="no_progress",
            severity=severity,
            subject=f"query {query}",
            words=words[:2_000],
            source="detect",
            resolved=resolved,
        )
        publish(settings, event)

    return report
