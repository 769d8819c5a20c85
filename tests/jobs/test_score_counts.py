"""Counting scores comes to the same for any cut of the topic and any number of tasks."""

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.score_counts import ScoreCounts, added_up, unknown
from ml.features import HOUR
from ml.thresholds.counts import ALERTS, BLOCK
from ml.thresholds.grid import Grid

NOW = 20_000 * 24 * HOUR
GRID = Grid(0.1, 0.5, 0.9)


def score(number: int, **changes: object) -> bytes:
    value = {
        "transaction_id": f"T{number}",
        "channel": ("online", "atm", None)[number % 3],
        "merchant_category": "travel",
        "kafka_time": NOW + number * 60_000,
        "anomaly_score": (number * 37 % 100) / 100,
        "is_anomaly": number % 10 == 0,
        "model_version": 1 + number // 60,
        "model_digest": "ab"[number // 60],
        "features": {"amount": 1.0},
    }
    return json.dumps(value | changes).encode()


def counted(pieces: Sequence[Sequence[bytes]], grids: dict[str, Grid | None]) -> pa.Table:
    def batch(values: Sequence[bytes]) -> pa.RecordBatch:
        return pa.RecordBatch.from_pydict(
            {"value": pa.array(values, pa.binary()), "time": pa.array([NOW + HOUR] * len(values), pa.int64())}
        )

    batches = [rows for piece in pieces for rows in ScoreCounts(grids).count(iter([batch(piece)]))]
    return pa.Table.from_batches(batches)


@given(st.lists(st.integers(0, 100), max_size=6))
@settings(deadline=None)
def test_the_counts_are_the_same_for_any_cut(cuts: list[int]) -> None:
    values, grids = [score(number) for number in range(100)], {"a": GRID, "b": GRID}
    edges = [0, *sorted(cuts), 100]
    pieces = [values[a:b] for a, b in pairwise(edges)]
    whole, cut = added_up(counted([values], grids)), added_up(counted(pieces, grids))
    assert whole.keys() == cut.keys() == {"a", "b"}
    for digest in whole:
        assert (whole[digest].latest, whole[digest].version) == (cut[digest].latest, cut[digest].version)
        assert whole[digest].counts.tobytes() == cut[digest].counts.tobytes()
    assert (whole["a"].latest, whole["a"].version, whole["b"].version) == (NOW + 59 * 60_000, 1, 2)
    assert sum(of.counts["count"][of.counts["bin"] != ALERTS].sum() for of in whole.values()) == 100
    assert sum(of.counts["count"][of.counts["bin"] == ALERTS].sum() for of in whole.values()) == 10
    assert np.unique(whole["a"].counts["segment"]).size == 3


def test_a_version_whose_grid_is_lacking_is_named_and_one_without_reference_is_left_out() -> None:
    values = [score(number) for number in range(100)]
    assert unknown(added_up(counted([values], {"a": GRID}))) == ["b"]
    assert list(added_up(counted([values], {"a": GRID, "b": None}))) == ["a"]


def test_the_same_version_of_another_registry_is_another_model() -> None:
    values = [score(number, model_version=1) for number in range(100)]
    found = added_up(counted([values], {"a": GRID, "b": GRID}))
    counts = {digest: int(of.counts["count"][of.counts["bin"] != ALERTS].sum()) for digest, of in found.items()}
    assert counts == {"a": 60, "b": 40}


def test_what_is_no_score_and_what_comes_from_a_wrong_clock_does_not_count() -> None:
    values = [b"{", b"\xff", b"null", score(1), score(2, anomaly_score="high"), score(3, kafka_time=NOW + 3 * HOUR)]
    found = added_up(counted([values], {"a": GRID}))
    assert found["a"].counts["count"].sum() == 1
    assert found["a"].counts["block"].tolist() == [NOW // BLOCK]
