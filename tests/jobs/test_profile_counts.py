"""What the tasks count for profiles is the pure count of the records, each once, whatever the cut and whatever repeats."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configured
from hypothesis import strategies as st

from jobs.profile_rows import LABEL
from jobs.seen import Seen
from ml.features import FEATURES, HOUR
from ml.features.events import hash_id
from ml.features.profile_counts import blocks_of, transaction_counts
from ml.label_rule import FRAUD, HONEST, UNKNOWN
from tests.jobs.foreign_scores import foreign
from tests.jobs.profile_log import BLOCK_SECONDS, NEW, NOW, START, Record, counted, label, labels, score, scores

RECORDS = scores(range(200))


def expected(numbers: range) -> np.ndarray:
    hashes = [np.array([hash_id(f"M{n % 7}") for n in numbers], np.uint64)]
    hashes.append(np.array([hash_id("fuel" if n % 2 else None) for n in numbers], np.uint64))
    features = np.zeros((len(numbers), len(FEATURES)))
    features[:] = [
        [0.25 * (n % 9) if name == "log_amount" else float(n % 3 == 0) for name in FEATURES] for n in numbers
    ]
    assert features[:, NEW].any()
    block = blocks_of(np.array([START + n * 1000 for n in numbers]), BLOCK_SECONDS)
    return transaction_counts(*hashes, block, features)


@given(st.lists(st.integers(0, 199), max_size=3), st.lists(st.integers(0, 199), max_size=30))
def test_each_record_counts_once_whatever_the_cut_and_whatever_repeats(cuts: list[int], again: list[int]) -> None:
    edges = [0, *sorted(cuts), 200]
    records = [*RECORDS, *(RECORDS[n] for n in again)]
    by_partition = [[r for r in records if r.partition == p] for p in (0, 1)]
    found, twice = counted(by_partition)
    assert twice == 0
    assert found.counts.tobytes() == expected(range(200)).tobytes()
    assert len(found.entries) == 200
    assert (found.figures.scores, found.figures.repeated) == (200 + len(again), len(again))
    seen, total = Seen(), 0
    for start, end in pairwise(edges):
        piece, _ = counted([RECORDS[:end][max(0, start - 20) :]], seen.packed)
        seen.take_in(piece.positions, piece.figures.latest)
        total += len(piece.entries)
    assert total == 200


def test_a_record_that_two_tasks_counted_is_noticed() -> None:
    assert counted([RECORDS[:10], RECORDS[9:20]])[1] == 1


def test_a_topic_that_was_made_again_is_noticed_by_the_times_of_its_records() -> None:
    first, _ = counted([RECORDS])
    seen = Seen()
    seen.take_in(first.positions, first.figures.latest)
    again = [Record("scores", 0, 500, score(0, 1_000.0)), Record("scores", 1, 501, score(1, 1_000.0))]
    assert counted([again], seen.packed)[0].figures.again == [0, 1]
    assert counted([RECORDS[:2]], seen.packed)[0].figures.again == []
    seen.forget_partition(0)
    seen.forget_partition(1)
    assert len(counted([again], seen.packed)[0].entries) == 2


def test_a_time_ahead_of_the_clock_does_not_hide_that_a_topic_was_made_again() -> None:
    ahead = score(1_000, 1.0, partition=0, offset=10**6, kafka_time=NOW + HOUR)
    first, _ = counted([[*RECORDS, Record("scores", 0, 500, ahead, NOW + HOUR)]])
    assert first.figures.latest[0] == NOW


def test_of_each_source_the_last_label_is_taken() -> None:
    some = labels([label(1), label(1, False), label(2), label(1, None), label(2, False, "chargeback"), label(1, False)])
    found, _ = counted([some])
    taken = sorted(zip(*(found.labels[name].tolist() for name in ("transaction", "source", "verdict")), strict=True))
    one, two = hash_id("T1"), hash_id("T2")
    assert taken == sorted([(one, 1, HONEST), (two, 0, HONEST), (two, 1, FRAUD)])
    assert found.figures.labels == 6
    assert counted([labels([label(1), label(1, None)])])[0].labels["verdict"].tolist() == [UNKNOWN]
    assert found.labels.dtype == LABEL


def test_what_is_neither_score_nor_label_is_left_out_and_counted() -> None:
    foreign = [
        Record("scores", 0, 9_000, b"{"),
        Record("scores", 0, 9_001, score(3, 1.0, feature_set="customer-1")),
        Record("labels", 0, 9_000, b'{"transaction_id": 5}'),
    ]
    found, _ = counted([[*RECORDS[:5], *foreign]])
    assert len(found.entries) == 5
    assert found.figures.foreign == 3
    assert found.figures.example


@pytest.mark.parametrize(
    "changes",
    [
        {"kafka_time": 2**63},
        {"kafka_time": -(2**63) - 1},
        {"kafka_time": 10**400},
        {"event_time": "2023-11-14T22:14:00"},
        {"schema_version": 3},
    ],
    ids=str,
)
def test_a_score_with_a_time_that_is_none_or_of_a_later_form_is_left_out_beside_its_neighbours(
    changes: dict[str, object],
) -> None:
    found, _ = counted([[*RECORDS[:5], Record("scores", 0, 9_000, score(7, 1.0, **changes)), *RECORDS[5:9]]])
    assert len(found.entries) == 9
    assert found.figures.foreign == 1


@configured(max_examples=300, deadline=None)
@given(st.lists(foreign(), min_size=1, max_size=15), st.lists(foreign(), max_size=5))
def test_whatever_stands_on_the_topics_the_scores_beside_it_are_counted(
    values: list[bytes | None], others: list[bytes | None]
) -> None:
    records = [Record("scores", 0, 9_000 + k, value) for k, value in enumerate(values)]
    records += [Record("labels", 0, 9_000 + k, value) for k, value in enumerate(others)]
    whole = Record("scores", 1, 1, score(2**20, 5.0, partition=2**15 - 1, offset=2**20, transaction_id="whole"))
    found, _ = counted([[*records, whole]])
    assert found.figures.scores + found.figures.labels + found.figures.foreign == len(records) + 1
    assert hash_id("whole") in found.entries["transaction"]
