"""A load passes or fails on its p99, its errors and the fraud that was recognised."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bench.figures import latency
from bench.load import Traffic, Wanted, load, traffic, verdict
from bench.open_loop import Load, Plan
from generator.history import Origin
from ml.schema import Transaction
from tests.bench.test_open_loop import serving

WANTED = Wanted(p99_ms=20.0, recall=0.2)
FRAUDS = frozenset(range(100))
ENOUGH = set(range(20))
GOOD = Load(100.0, 200, {200: 200}, 0, 0.1, latency([1.0] * 200))


def test_what_keeps_to_all_three_passes() -> None:
    found = verdict(GOOD, FRAUDS, ENOUGH | {150}, WANTED)
    assert (found.failed, found.recall, found.alerts, found.errors) == ([], 0.2, 21, 0)


def test_few_frauds_prove_little() -> None:
    """Of seven none is recognised in every fifth load, of twenty in every hundredth one."""
    assert verdict(GOOD, frozenset(range(7)), set(), WANTED).failed == []
    assert verdict(GOOD, frozenset(range(21)), set(), WANTED).failed != []
    assert verdict(GOOD, frozenset(), set(), WANTED).failed == []


@pytest.mark.parametrize(
    ("found", "alerts", "why"),
    [
        (msgspec.structs.replace(GOOD, latency=latency([1.0] * 98 + [21.0] * 2)), ENOUGH, "p99 is 21.0 ms"),
        (msgspec.structs.replace(GOOD, latency=latency([])), ENOUGH, "p99 is unknown"),
        (msgspec.structs.replace(GOOD, statuses={200: 199, 503: 1}), ENOUGH, "1 of 200 requests had no judgement"),
        (msgspec.structs.replace(GOOD, degraded=1), ENOUGH, "1 by the fallback"),
        (GOOD, set(range(10)) | {150}, "recall is 10.0% of 100 frauds"),
    ],
)
def test_what_does_not_keep_to_one_of_them_fails_and_says_which(found: Load, alerts: set[int], why: str) -> None:
    (failed,) = verdict(found, FRAUDS, alerts, WANTED).failed
    assert why in failed


def test_alerts_are_taken_from_the_answers() -> None:
    answer = b'HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{"is_anomaly":true}'
    with serving(lambda _: 0.0, answer) as server:
        made = Traffic([b"{}"] * 20, frozenset({3}))
        found = load(f"http://127.0.0.1:{server.port}/", Plan(100), made, Wanted(1_000.0, 0.5))
    assert (found.failed, found.recall, found.alerts) == ([], 1.0, 20)


@pytest.mark.parametrize("scenario", ["standard", "attack", "drift"])
def test_the_traffic_is_the_simulators_and_the_frauds_are_those_of_its_truth(scenario: str) -> None:
    start = datetime(2026, 5, 1, 8, tzinfo=UTC)
    begin = start + timedelta(minutes=90)
    made = traffic(Origin(101, 500, start), begin, scenario, 3_000)  # type: ignore[arg-type]
    times = [msgspec.json.decode(body, type=Transaction).event_time for body in made.bodies]
    assert len(made.bodies) == 3_000
    assert min(times) >= begin
    assert times == sorted(times)
    assert made.frauds
    assert max(made.frauds) < 3_000
