import re
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.throughput import Arrived, Positions, Tally, Throughput, percentile


def fields(line: bytes) -> dict[str, float]:
    """A point's fields and its `time`."""
    name, values, time = line.decode().split(" ")
    assert name == "throughput"
    return {key: float(re.sub("i$", "", value)) for key, value in (pair.split("=") for pair in values.split(","))} | {
        "time": float(time)
    }


def tally(**changes: Any) -> Tally:
    """Eight scores; unless `records` says otherwise, each offset from `first` to `next` holds a record."""
    eight = Tally(scored=8, first_time=1_000, last_time=3_000, first={0: 0, 1: 0}, next={0: 4, 1: 4})
    changed = msgspec.structs.replace(eight, **changes)
    dense = {partition: end - changed.first[partition] for partition, end in changed.next.items()}
    return changed if "records" in changes else msgspec.structs.replace(changed, records=dense)


def arrived(then: Positions, now: Positions | None = None) -> Arrived:
    return Arrived(then, then if now is None else now)


@given(values=st.lists(st.integers(-100, 100_000), min_size=1, max_size=200), share=st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_those_of_the_values_themselves(values: list[int], share: float) -> None:
    counts = {value: values.count(value) for value in values}
    assert percentile(counts, share) == np.percentile(values, share * 100, method="inverted_cdf")


def test_a_point_stands_at_the_largest_kafka_time_and_two_of_one_millisecond_stay_two() -> None:
    throughput = Throughput()
    times = [fields(throughput.point(tally(), micro_batch, None))["time"] for micro_batch in (7, 8)]
    assert times == [3_000_000_007, 3_000_000_008]


def test_the_rate_counts_the_time_since_the_previous_micro_batch_and_at_first_the_micro_batch_s_own() -> None:
    throughput = Throughput()
    first = fields(throughput.point(tally(), 0, None))
    second = fields(throughput.point(tally(first_time=6_900, last_time=7_000, scored=6, invalid=2), 1, None))
    assert (first["rows_per_second"], second["rows_per_second"]) == (4, 2)


def test_where_no_time_passed_there_is_no_rate() -> None:
    throughput = Throughput()
    assert "rows_per_second" not in fields(throughput.point(tally(first_time=3_000), 0, None))
    assert "rows_per_second" not in fields(throughput.point(tally(last_time=2_000), 1, None))
    assert fields(throughput.point(tally(last_time=4_000), 2, None))["rows_per_second"] == 8


def test_lag_is_what_had_arrived_and_was_not_scored_and_input_adds_up_to_what_arrived() -> None:
    throughput = Throughput()
    points = [
        fields(throughput.point(tally(), 0, arrived({0: 5, 1: 4, 2: 9}))),  # partition 2: this run has not seen it
        fields(throughput.point(tally(first={0: 4}, next={0: 9}), 1, arrived({0: 10, 1: 4, 2: 9}))),
        fields(throughput.point(tally(first={1: 4}, next={1: 6}), 2, arrived({0: 12, 1: 6, 2: 9}))),
    ]
    assert [point["lag"] for point in points] == [1, 1, 3]
    assert [point["input"] for point in points] == [9, 5, 4]


def test_lag_and_input_are_left_out_where_kafka_did_not_say_and_the_next_input_makes_up_for_it() -> None:
    throughput = Throughput()
    throughput.point(tally(), 0, arrived({0: 4, 1: 4}))
    unknown = fields(throughput.point(tally(), 1, None))
    assert not {"lag", "input"} & set(unknown)
    assert fields(throughput.point(tally(), 2, arrived({0: 9, 1: 9})))["input"] == 10


def test_without_scores_there_are_no_latencies() -> None:
    point = fields(Throughput().point(Tally(invalid=3, first_time=1, last_time=2), 0, None))
    assert point == {"scored": 0, "invalid": 3, "late": 0, "anomalies": 0, "rows_per_second": 3_000, "time": 2_000_000}


def test_offsets_without_a_record_are_neither_lag_nor_input() -> None:
    """Each transaction is followed by the mark of its commit: 0, 2, 4, … hold records."""
    throughput = Throughput(lambda spans: {p: sum(o % 2 == 0 for o in range(*span)) for p, span in spans.items()})
    first = fields(throughput.point(tally(first={0: 0}, next={0: 7}, records={0: 4}), 0, arrived({0: 8})))
    second = fields(throughput.point(tally(first={0: 8}, next={0: 9}, records={0: 1}), 1, arrived({0: 14})))
    third = fields(throughput.point(tally(first={0: 10}, next={0: 13}, records={0: 2}), 2, arrived({0: 14})))
    assert [(point["input"], point["lag"]) for point in (first, second, third)] == [(4, 0), (3, 2), (0, 0)]


def test_a_span_that_is_too_long_to_count_is_estimated_by_the_offsets_before_it() -> None:
    throughput = Throughput(lambda spans: {})
    point = fields(throughput.point(tally(first={0: 0}, next={0: 1_000}, records={0: 500}), 0, arrived({0: 101_000})))
    assert (point["input"], point["lag"]) == (50_500, 50_000)


def test_an_offset_that_the_topic_does_not_have_hides_no_lag() -> None:
    throughput = Throughput()
    invented = tally(first={0: 0}, next={0: 2**63}, records={0: 5})
    lags = [
        fields(throughput.point(counted, number, arrived({0: 10})))["lag"]
        for number, counted in enumerate((tally(first={0: 0}, next={0: 4}), invented, tally(first={0: 4}, next={0: 9})))
    ]
    assert lags == [6, 6, 1]


def test_after_the_topic_was_made_anew_lag_and_input_are_of_the_new_one() -> None:
    throughput = Throughput()
    throughput.point(tally(first={0: 0}, next={0: 80}), 0, arrived({0: 80}))
    point = fields(throughput.point(tally(first={0: 0}, next={0: 10}), 1, arrived({0: 16})))
    assert (point["input"], point["lag"]) == (16, 6)


@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    ahead=st.lists(st.integers(0, 9), min_size=9, max_size=9),
    every=st.integers(1, 4),
)
def test_input_adds_up_to_the_records_that_arrived(cuts: list[int], ahead: list[int], every: int) -> None:
    """One of `every` offsets holds a record; the micro-batches end where they may."""

    def held(start: int, end: int) -> int:
        return sum(offset % every == 0 for offset in range(start, end))

    throughput = Throughput(lambda spans: {p: held(*span) for p, span in spans.items()})
    start, end, total = 0, 0, 0.0
    for number, size in enumerate(cuts):
        records = [offset for offset in range(start, start + size) if offset % every == 0]
        end = max(end, start + size + ahead[number])
        if records:
            piece = tally(first={0: records[0]}, next={0: records[-1] + 1}, records={0: len(records)})
            point = fields(throughput.point(piece, number, arrived({0: end})))
            total += point["input"]
            assert point["lag"] == held(records[-1] + 1, end)
            assert total == held(0, end)
        start += size
