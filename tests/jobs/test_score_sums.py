"""The sums a second: they hold every score once, however the log is cut and whatever is written again."""

import dataclasses
import itertools
import re
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.publish_points import Publication
from jobs.score_sums import AMOUNTS, BINS, SCORES, added_up, bin_name, lines_of
from jobs.throughput import Tally
from ml.schema import Score
from sinks.points_file import PointsFileSink
from tests.jobs.test_publish_points import batch_of, score

MOMENT = 1_700_000_000_000

SCORED = st.lists(
    st.fixed_dictionaries(
        {
            "kafka_time": st.integers(0, 4_000).map(lambda late: MOMENT + late) | st.sampled_from([-1, 0, 2**63 - 1]),
            "merchant_category": st.sampled_from(["groceries", "fuel, oil", "", None]),
            "channel": st.sampled_from(["chip", "online", None]),
            "currency": st.sampled_from(["EUR", "USD", None]),
            "amount": st.integers(0, 4_000).map(lambda quarters: quarters / 4),
            "anomaly_score": st.sampled_from([0.0, 0.03125, 0.5, 0.99, 1.0]) | st.floats(0, 1),
            "is_anomaly": st.booleans(),
        }
    ),
    max_size=30,
).map(lambda those: [score(number, **fields) for number, fields in enumerate(those)])


@dataclasses.dataclass
class Stored:
    """What InfluxDB keeps of points: the last one of each measurement, tags and time."""

    points: dict[tuple[str, int], dict[str, float]] = dataclasses.field(default_factory=dict)

    def write(self, lines: bytes) -> None:
        for line in lines.decode().splitlines():
            match = re.fullmatch(r"((?:\\.|[^ \\])+) (\S+) (\d+)", line)
            assert match is not None
            values = dict(pair.split("=") for pair in match[2].split(","))
            self.points[match[1], int(match[3])] = {name: float(value.rstrip("i")) for name, value in values.items()}

    def totals(self) -> Counter[tuple[str, str]]:
        """The sum of each field, by series and second."""
        found: Counter[tuple[str, str]] = Counter()
        for (series, time_ns), values in self.points.items():
            for name, value in values.items():
                found[f"{series} {time_ns // 10**9}", name] += value  # type: ignore[assignment]
        return found


def publish(folder: Path, scores: list[Score], micro_batch: int, stored: Stored, **how: object) -> None:
    """One micro-batch of publish, in two tasks."""
    records = [(msgspec.json.encode(each), False, MOMENT + row, 0, row, None, None) for row, each in enumerate(scores)]
    tally = Tally()
    for task in (records[::2], records[1::2]):
        publication = dataclasses.replace(Publication(PointsFileSink(folder / "points")), **how)  # type: ignore[arg-type]
        [answer] = publication.publish(iter([batch_of(task)]))
        tally += msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)
    sums = added_up(tally.sums)
    for lines in () if sums is None else lines_of(sums, micro_batch):
        stored.write(lines)


def expected(scores: list[Score]) -> Counter[tuple[str, str]]:
    """The same totals, added up one score at a time."""
    found: Counter[tuple[str, str]] = Counter()
    for each in scores:
        second = min(max(each.kafka_time, 0), (2**63 - 2) // 1_000_000 - 1) // 1000
        category = (each.merchant_category or "unknown").replace(",", r"\,").replace(" ", r"\ ")
        segment = f"{SCORES},channel={each.channel or 'unknown'},merchant_category={category} {second}"
        currency = f"{AMOUNTS},currency={each.currency or 'unknown'} {second}"
        for series in (segment, currency):
            found[series, "scored"] += 1
            found[series, "alerts"] += each.is_anomaly
        found[segment, bin_name(min(int(each.anomaly_score * BINS), BINS - 1))] += 1
        found[currency, "amount"] += each.amount  # type: ignore[assignment]
        found[currency, "amount_alerted"] += each.amount * each.is_anomaly  # type: ignore[assignment]
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=SCORED,
    cuts=st.lists(st.integers(0, 40), max_size=4),
    repeats=st.lists(st.integers(0, 4), max_size=4),
    points=st.sampled_from(["all", "sampled", "anomalies"]),
)
def test_any_split_into_micro_batches_and_any_repeat_gives_the_same_totals_in_every_mode(
    tmp_path: Path, scores: list[Score], cuts: list[int], repeats: list[int], points: str
) -> None:
    bounds = [0, *sorted(min(cut, len(scores)) for cut in cuts), len(scores)]
    micro_batches = [scores[start:end] for start, end in itertools.pairwise(bounds)]
    stored = Stored()
    for number in [*range(len(micro_batches)), *(repeat % len(micro_batches) for repeat in repeats)]:
        publish(tmp_path, micro_batches[number], number, stored, points=points)
    assert +stored.totals() == +expected(scores)


def test_the_bins_hold_every_score_once() -> None:
    edges = [bin_name(number) for number in range(BINS)]
    assert len(set(edges)) == BINS
    assert edges == sorted(edges), "panels put them in the order of their names"


def test_amounts_beyond_all_reason_leave_a_sum_that_influxdb_can_still_add(tmp_path: Path) -> None:
    stored = Stored()
    publish(tmp_path, [score(number, amount=1.7e308, currency="EUR") for number in range(6)], 0, stored)
    [amounts] = [values for (name, _), values in stored.points.items() if name.startswith(AMOUNTS)]
    assert amounts["amount"] == amounts["amount_alerted"] == 1e300
    assert np.isfinite(sum(amounts["amount"] for _ in range(1_000_000)))


def test_a_task_of_many_pieces_hands_over_one_table(tmp_path: Path) -> None:
    batches = [batch_of([(msgspec.json.encode(score(n)), False, MOMENT, 0, n, None, None)]) for n in range(70)]
    [answer] = Publication(PointsFileSink(tmp_path / "points")).publish(iter(batches))
    tally = msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)
    [packed] = tally.sums
    assert pa.ipc.open_stream(packed).read_all().num_rows == 2, "of one second and segment: alerts, and no alerts"


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_sample_has_sums_of_all(tmp_path: Path, share: float) -> None:
    stored = Stored()
    publish(tmp_path, [score(number) for number in range(90)], 3, stored, points="sampled", share=share)
    assert sum(values["scored"] for (name, _), values in stored.points.items() if name.startswith(SCORES)) == 90
    written = (tmp_path / "points").read_bytes().count(b"transaction_score,")
    assert 30 <= written < 90
