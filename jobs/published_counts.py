"""What publish knows of a micro-batch, counted for Prometheus: it has added all of it up anyway."""

from typing import Final

from jobs.dead_letter_kinds import KINDS
from jobs.runtime.metering import families
from jobs.runtime.metering.meter import Meter
from jobs.throughput import Tally

_COUNTED: Final = (
    (families.scores, "scored"),
    (families.alerts, "anomalies"),
    (families.late, "late"),
    (families.currency_unknown, "currency_unknown"),
    (families.extras_refused, "extras_refused"),
    (families.unreadable, "unreadable"),
)


def begin(meter: Meter) -> None:
    """Show zeros, so that the first of each kind is an increase."""
    for family, _ in _COUNTED:
        meter.add(family, 0)
    for reason in KINDS:
        meter.add(families.dead_letters, 0, reason)


def count(meter: Meter, tally: Tally) -> None:
    """Count a micro-batch whose points are written."""
    for family, name in _COUNTED:
        meter.add(family, getattr(tally, name))
    for reason, letters in tally.dead.items():
        meter.add(families.dead_letters, letters, reason)
    for currency, (scored, alerted) in tally.amounts.items():
        meter.add(families.amount, scored, currency)
        meter.add(families.alert_amount, alerted, currency)
    # A clock that is behind makes a latency below zero.
    meter.observe(families.score_latency, {max(0, ms) / 1000: records for ms, records in tally.latency.items()})
