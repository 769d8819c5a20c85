"""What the demo prints where there is no terminal: a line now and then."""

from demo.snapshot import Snapshot
from demo.tally import Alert
from demo.view import share
from ml.explanation import all_in_words


def status_line(snapshot: Snapshot) -> str:
    """One moment of the run."""
    s = snapshot
    latency = (
        "" if s.latency_ms_p50 is None else f"latency p50 {s.latency_ms_p50:,.0f} ms, p99 {s.latency_ms_p99:,.0f} ms, "
    )
    early = (
        ""
        if s.early_latency_ms_p50 is None
        else f"{s.early_alerts:,} early alerts: p50 {s.early_latency_ms_p50:,.0f} ms, p99 {s.early_latency_ms_p99:,.0f} ms, "
    )
    return (
        f"{s.seconds:4.0f} s: in {s.arrived_per_second:,.0f}/s, scored {s.scored_per_second:,.0f}/s ({s.scored:,} of "
        f"{s.arrived:,}, {s.invalid:,} invalid), {latency}{early}{s.quality.alerts:,} alerts, precision "
        f"{share(s.quality.precision)}, recall {share(s.quality.recall)}, "
        f"{s.campaigns_caught:,} of {s.campaigns:,} campaigns caught"
    )


def alert_line(alert: Alert) -> str:
    """One alert."""
    score = alert.score
    verdict = "false alarm" if alert.scenario is None else alert.scenario.replace("_", " ")
    where = " ".join(filter(None, [score.merchant_category, score.country]))
    return (
        f"        alert ({verdict}): {score.customer_id}, {score.amount:,.2f} {score.currency or ''}, {where}, "
        f"score {score.anomaly_score:.3f}: {all_in_words(score.reasons)}"
    )
