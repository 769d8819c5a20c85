"""A score's JSON: what is written is what `ml.schema.Score` says, and scores of earlier releases are read as today's."""

import json
from datetime import UTC, datetime
from pathlib import Path

import hypothesis.extra.numpy as nst
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import score_json
from detection.decision import Judgements
from detection.ranges import Versions
from detection.score_json import CLOSING_BYTES, closing, heads, judgements, named, read
from ml.features import FEATURE_SET, FEATURES
from ml.schema import Lane, Reader, Reason, Score, Transaction, Unreadable
from tests.detection.scores import exact

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1e-320, -1.5e300, 2.0**53])
OLD = Path(__file__).parent / "recorded" / "scores_of_release_0_1.jsonl"
REASON = Reason("amount_z", 3.5, -1.0, 1e-9)


def transaction(customer: str) -> Transaction:
    return Transaction("t-" + customer, datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), customer, 12.5, country="FR")


def written(features: np.ndarray, lane: Lane = "spark", micro_batch: int | None = 7) -> list[bytes]:
    """Scores of transactions with these features (n, F), every other one an anomaly."""
    n = len(features)
    transactions = [transaction(f'C"{row}\n') for row in range(n)]
    records = [(row % 4, 2**40 + row, 1_767_323_045_678 + row, b'C"0\n') for row in range(n)]
    late, order_undefined, anomalies = np.arange(n) % 2 == 1, np.arange(n) % 3 == 1, np.arange(n) % 2 == 0
    begun = heads(transactions, records, late, order_undefined, features)
    reasons = [[REASON]] * int(anomalies.sum())
    found = Judgements(np.linspace(0, 1, n), np.full(n, 0.1), anomalies, reasons, features[anomalies], FEATURES)
    parts = judgements(found, Versions(3, 5, "a \u201cmodel\u201d", "d" * 64))
    assert len(begun) == len(parts) == n
    return [
        head + part + closing(lane, micro_batch, 1_767_323_046_000) for head, part in zip(begun, parts, strict=True)
    ]


@settings(deadline=None)
@given(nst.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(len(FEATURES))), elements=NUMBERS))
def test_a_score_holds_the_transaction_its_place_and_every_feature_bit_for_bit(features: np.ndarray) -> None:
    for row, value in enumerate(written(features)):
        score, plain = exact(value), json.loads(value)
        assert np.array(score.features).tobytes() == np.array(plain["features"]).tobytes() == features[row].tobytes()
        assert (score.transaction_id, score.country, score.customer_id) == (f't-C"{row}\n', "FR", f'C"{row}\n')
        assert (score.partition, score.offset, score.kafka_time) == (row % 4, 2**40 + row, 1_767_323_045_678 + row)
        assert (score.late, score.key_mismatch, score.order_undefined) == (row % 2 == 1, row != 0, row % 3 == 1)
        assert (score.model_name, score.model_version, score.threshold_version) == ("a \u201cmodel\u201d", 3, 5)
        assert (score.model_digest, score.lane, score.micro_batch) == ("d" * 16, "spark", 7)
        assert score.is_anomaly == (row % 2 == 0)
        assert score.reasons == ([REASON] if score.is_anomaly else [])
        assert score.named_features == (named(score) if score.is_anomaly else None)
        assert list(named(score)) == list(FEATURES)
        assert read(value) == score


def test_features_are_named_on_anomalies_alone() -> None:
    anomaly, other = written(np.zeros((2, len(FEATURES))))
    assert b"named_features" in anomaly
    assert not any(name in other for name in (b"named_features", b"reasons", b"challenger", b"amount_z"))


def test_a_lane_without_micro_batches_says_null() -> None:
    (value,) = written(np.zeros((1, len(FEATURES))), "early", None)
    assert (exact(value).lane, exact(value).micro_batch) == ("early", None)


def test_the_end_of_a_score_is_no_longer_than_the_limits_of_topics_allow_for() -> None:
    assert len(closing("spark", 2**63 - 1, 2**63 - 1, 2**31 - 1)) <= CLOSING_BYTES


def test_scores_of_the_release_before_are_read_as_todays() -> None:
    lines = OLD.read_bytes().splitlines()
    assert len(lines) > 20
    for line in lines:
        score, plain = read(line), json.loads(line)
        assert msgspec.json.decode(msgspec.json.encode(score), type=Score) == score
        assert (named(score), score.feature_set) == (plain["features"], FEATURE_SET)
        assert (score.lane, score.profile_version) == ("spark", 0)
        common = plain.keys() - {"features", "event_time", "reasons"}
        assert {name: getattr(score, name) for name in common} == {name: plain[name] for name in common}
        assert [msgspec.to_builtins(reason) for reason in score.reasons] == plain["reasons"]
        assert (score.named_features is not None) == score.is_anomaly


def test_features_of_another_set_have_no_names_here() -> None:
    plain = json.loads(OLD.read_bytes().splitlines()[0])
    plain["features"] = {"amount_z": 1.5}
    with pytest.raises(Unreadable, match="feature set"):
        named(read(json.dumps(plain).encode()))


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b"[" * 100_000, b'{"schema_version":3}', b'{"schema_version":2}', b"\xff"]
)
def test_what_is_no_score_is_unreadable(value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        read(value)


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("partition", -1),
        ("partition", 2**15),
        ("offset", -1),
        ("offset", 2**48),
        ("kafka_time", 2**63),
        ("kafka_time", -(2**63) - 1),
        ("model_version", -1),
        ("threshold_version", 2**31),
        ("fold_version", 2**31),
        ("model_digest", "d" * 65),
    ],
)
def test_both_forms_refuse_the_same_numbers(field: str, number: object) -> None:
    before = json.loads(OLD.read_bytes().splitlines()[0])
    now = json.loads(msgspec.json.encode(read(OLD.read_bytes().splitlines()[0])))
    for plain in (before, now):
        with pytest.raises(Unreadable, match=field):
            read(json.dumps(plain | {field: number}).encode())


def test_the_features_of_the_release_before_may_stand_in_any_order() -> None:
    for line in OLD.read_bytes().splitlines():
        plain = json.loads(line)
        plain["features"] = dict(sorted(plain["features"].items()))
        assert read(json.dumps(plain).encode()) == read(line)


def test_an_error_without_a_text_is_called_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(score_json, "_version_of", fail)
    with pytest.raises(Unreadable, match="RecursionError"):
        read(b"{}")
    reader = Reader(Score)
    monkeypatch.setattr(reader, "_decode", fail)
    with pytest.raises(Unreadable, match="RecursionError"):
        reader.read(b"{}")
