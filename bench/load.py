"""`python -m bench.load`: loads a service that runs with simulated traffic, and says whether it passed.

The traffic continues the history that the service's state and model are from. Passed is: p99 within its limit, no request
without a judgement, and enough of the fraud recognised. The truth about the fraud comes from the simulator; no request has it.
"""

import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
import typer
from scipy.stats import binom  # type: ignore[import-untyped]
from typer import Option

from bench.open_loop import Load, OpenLoop, Plan
from generator.history import NoHistory, Origin, read_origin
from generator.live import Kafka
from generator.options import composed_run
from generator.producer import KafkaUnreachable
from generator.records import Records, records
from generator.resume import newest_event_time
from generator.runs import RunName
from generator.send import Topics
from generator.worlds import batches
from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError
from settings import Settings, private_files

LEAST_RECALL: Final = 0.2
"""Half of what the detector without labels reaches on the scorecard (docs/detection.md): below it something is broken."""

CHANCE: Final = 0.01
"""A load fails where so few frauds are recognised by chance in fewer loads than this share of them: few frauds prove little."""

_ORDINARY: Final = timedelta(hours=1)


class Traffic(NamedTuple):
    """Transactions as JSON, in the order of their time, and the numbers of the fraudulent ones among them."""

    bodies: list[bytes]
    frauds: frozenset[int]


class Verdict(msgspec.Struct):
    """What came of a load, and why it did not pass; nothing where it did. recall: null where there was no fraud."""

    rate: float
    sent: int
    errors: int
    ms_p50: float | None
    ms_p99: float | None
    frauds: int
    recall: float | None
    alerts: int
    failed: list[str]


class Wanted(NamedTuple):
    """What a load has to keep to."""

    p99_ms: float
    recall: float


def traffic(origin: Origin, begin: datetime, scenario: RunName, count: int) -> Traffic:
    """The first `count` transactions of a scenario from `begin` on; an attack or a drift begins an hour later."""
    run = composed_run(
        origin.run, lambda name: begin + _ORDINARY if name in ("attack", "drift") else None, scenario=scenario
    )
    return _first((records(batch) for batch in batches(origin.world(), begin, run, origin.reporting)), count)


def _first(hours: Iterable[Records], count: int) -> Traffic:
    bodies: list[bytes] = []
    frauds: set[int] = set()
    for hour in hours:
        frauds.update(len(bodies) + row for row in hour.truth)
        bodies += hour.values
        if len(bodies) >= count:
            break
    return Traffic(bodies[:count], frozenset(number for number in frauds if number < count))


def load(url: str, plan: Plan, made: Traffic, wanted: Wanted) -> Verdict:
    """Post the traffic and judge what came of it. Raises OSError where no service listens."""
    alerts = set[int]()

    def heard(number: int, took: float, status: int, body: bytes) -> None:  # noqa: ARG001
        if b'"is_anomaly":true' in body:
            alerts.add(number)

    return verdict(OpenLoop(url, plan, heard).run(made.bodies), made.frauds, alerts, wanted)


def verdict(found: Load, frauds: frozenset[int], alerts: set[int], wanted: Wanted) -> Verdict:
    """Whether what was found is what was wanted."""
    recall = len(frauds & alerts) / len(frauds) if frauds else None
    p99 = found.latency.p99
    failed = []
    if p99 is None or p99 > wanted.p99_ms:
        failed.append(f"p99 is {'unknown' if p99 is None else f'{p99:.1f} ms'}, and may be {wanted.p99_ms:g} ms")
    if found.errors:
        answers = ", ".join(f"{count:,} of {status}" for status, count in sorted(found.statuses.items()))
        failed.append(
            f"{found.errors:,} of {found.sent:,} requests had no judgement (answers: {answers or 'none'}; "
            f"{found.lost:,} lost, {found.degraded:,} by the fallback)"
        )
    if binom.cdf(len(frauds & alerts), len(frauds), wanted.recall) < CHANCE:
        failed.append(
            f"recall is {len(frauds & alerts) / len(frauds):.1%} of {len(frauds):,} frauds, and has to be {wanted.recall:.1%}"
        )
    p50 = found.latency.p50
    return Verdict(
        found.rate, found.sent, found.errors, p50, p99, len(frauds), recall, alerts=len(alerts), failed=failed
    )


def main(
    rate: Annotated[float, Option(min=1, help="Transactions a second.")] = 1_000.0,
    duration: Annotated[float, Option(min=1, help="Seconds, after the warm-up.")] = 60.0,
    warm_up: Annotated[float, Option(min=0, help="Seconds whose latency does not count.")] = 5.0,
    scenario: Annotated[RunName, Option(help="What happens in the traffic.")] = "standard",
    history: Annotated[Path, Option(help="The history that the traffic continues.")] = Path(".scoreline/history"),
    url: Annotated[str | None, Option(show_default="the settings' host and port", help="The service.")] = None,
    p99: Annotated[float, Option(min=0, help="Milliseconds that the p99 may be.")] = 20.0,
    recall: Annotated[float, Option(min=0, max=1, help="The share of fraud to recognise.")] = LEAST_RECALL,
) -> None:
    """Load a service that runs; the last line on standard output is one JSON object, the exit status 1 where it failed."""
    settings = Settings.from_command_line([])
    names = Topics(settings.transactions_topic, settings.labels_topic, settings.truth_topic)
    try:
        origin = read_origin(history)
        newest = newest_event_time(Kafka(KafkaConfig.from_settings(settings), names))
        begin = origin.live_start if newest is None else max(origin.live_start, newest + timedelta(milliseconds=1))
        made = traffic(origin, begin, scenario, round(rate * (warm_up + duration)))
        address = url or f"http://{settings.serve_host}:{settings.serve_port}"
        found = load(f"{address}/transactions", Plan(rate, warm_up), made, Wanted(p99, recall))
    except (NoHistory, KafkaUnreachable, KafkaConfigError, OSError) as error:
        sys.exit(f"error: {error}")
    for why in found.failed:
        print("failed:", why, file=sys.stderr)
    print(msgspec.json.encode(found).decode(), flush=True)
    sys.exit(1 if found.failed else 0)


if __name__ == "__main__":
    private_files()
    typer.run(main)
