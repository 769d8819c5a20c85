"""What an accounting found, as counts."""

from typing import Any

import msgspec


class Figures(msgspec.Struct):
    """What the accounting found. Each count is of records by their place, but for the repeats, which are of messages.

    lost: neither score nor dead letter. differing: something that was written of a record is not what the reference says;
    order_undefined_differing: those of them whose order the log does not define (not in `differing`). unknown: outputs that
    belong to no record. alerts_missing: anomalies without an alert. points_missing, points_differing: of scores; points_beyond:
    points that belong to no score.
    """

    records: int
    scored: int
    dead_letters: int
    alerts: int
    truncated: int
    order_undefined: int
    lost: int
    differing: int
    order_undefined_differing: int
    unknown: int
    alerts_missing: int
    points: int
    points_missing: int
    points_differing: int
    points_beyond: int
    scores_sent_twice: int
    alerts_sent_twice: int
    dead_letters_sent_twice: int
    examples: list[dict[str, Any]]

    @property
    def right(self) -> bool:
        """Whether nothing is lost, differs or is missing."""
        wrong = self.lost, self.differing, self.order_undefined_differing, self.unknown, self.alerts_missing
        return not any((*wrong, self.points_missing, self.points_differing, self.points_beyond))
