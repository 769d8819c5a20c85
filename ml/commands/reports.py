"""What the commands report of a model to the topic of events: a promotion, a rollback, a trial."""

from datetime import UTC, datetime

from messaging.events import publish
from ml.registry.model_store import Note
from ml.schema import Event, Severity
from settings import Settings


def report_model(kind: str, version: int, words: str, note: Note) -> None:
    """Report what was done to a version of the settings' model. It is done by then: whether this arrives changes nothing.

    What was forced past the gate is a warning.
    """
    settings = Settings.from_command_line([])
    severity: Severity = "warning" if note.forced else "info"
    publish(
        settings,
        Event(
            at=datetime.now(UTC),
            kind=kind,
            severity=severity,
            subject=f"model {settings.model_name}"[:256],
            words=f"{words}: {note.why}"[:2_000] if note.why else words,
            source=kind,
            data={"version": version, "alias": settings.model_alias, "by": note.by[:256], "forced": note.forced},
        ),
    )
