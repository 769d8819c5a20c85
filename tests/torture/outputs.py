"""A small log with all kinds of messages, and what a system that makes no mistake writes of it."""

import zlib
from typing import Any

import msgspec
import numpy as np

from detection.message_parsing import parse
from ml import features, model
from ml.detectors import DETECTORS
from ml.features import FEATURES
from ml.model import Model
from ml.schema import SCORE_SCHEMA
from tests.integration.traffic import messages, traffic
from torture.accounting import Letter
from torture.points import Points
from torture.reference import Expected, Limits, Log, expected

LIMITS = Limits(max_transaction_bytes=2_000)
KAFKA_TIME = 1_772_900_000_000


def a_log(n: int = 600) -> Log:
    """n transactions on three partitions; among them invalid ones, a large one, an early one, a repeat, a wrong key."""
    sent = messages(traffic(n, customers=40, seed=3))
    good = msgspec.json.decode(sent[5][1] or b"")
    hostile = [
        (b"k", b"hello"),
        (b"k", None),
        sent[7],
        (b"wrong", msgspec.json.encode(good | {"transaction_id": "W"})),
        (b"C1", msgspec.json.encode(good | {"transaction_id": "L", "note": "x" * 3_000})),
        (b"C1", msgspec.json.encode(good | {"transaction_id": "E", "event_time": "2036-01-01T00:00:00Z"})),
    ]
    for k, message in enumerate(hostile):
        sent.insert(60 * (k + 1), message)
    partition = np.array([zlib.crc32(key or b"") % 3 for key, _ in sent], np.int64)
    offset = np.zeros(len(sent), np.int64)
    for number in range(3):
        offset[partition == number] = np.arange((partition == number).sum()) * 2  # control records leave gaps
    kafka_time = KAFKA_TIME + np.arange(len(sent), dtype=np.int64)
    return Log(partition, offset, kafka_time, [key for key, _ in sent], [value for _, value in sent])


def a_model() -> Model:
    rows = np.random.default_rng(1).gamma(2, 20, (2_000, len(FEATURES)))
    scorer = DETECTORS["isolation_forest"].fit(rows, np.zeros(len(rows), np.bool_), 1)
    return Model("scoreline", 1, scorer, 0.5, FEATURES, model.usual_ranges(rows))


def reference_of(log: Log, judge: Model) -> Expected:
    """Two micro-batches, cut by offset."""
    micro_batches = (log.offset >= 200).astype(np.int64)
    return expected(log, micro_batches, np.full(len(log.offset), judge.version), {judge.version: judge}, LIMITS)


def scores_of(log: Log, reference: Expected) -> list[dict[str, Any]]:
    """The scores' JSON objects, by row; an empty one for a dead letter."""
    out: list[dict[str, Any]] = []
    for row, position in enumerate(reference.position.tolist()):
        if reference.dead[row]:
            out.append({})
            continue
        partition, offset = features.place(position)
        columns = ["kafka_time", "late", "key_mismatch", "order_undefined", "is_anomaly", "micro_batch"]
        columns += ["model_version", "model_digest", "fold_version"]
        named = {name: getattr(reference, name)[row].item() for name in (*columns, "anomaly_score", "threshold")}
        transaction = msgspec.to_builtins(parse(log.values[int(reference.source[row])]))
        form = {"schema_version": SCORE_SCHEMA, "features": reference.features[row].tolist()}
        out.append(transaction | {"partition": partition, "offset": offset} | form | named)
    return out


def letters_of(log: Log, reference: Expected) -> list[Letter]:
    out = []
    for row in np.flatnonzero(reference.dead).tolist():
        partition, offset = reference.place(row)
        headers = {"reason": reference.reasons[row] or "", "partition": str(partition), "offset": str(offset)}
        source = int(reference.source[row])
        out.append(Letter(log.keys[source], log.values[source], {n: t.encode() for n, t in headers.items()}))
    return out


def points_of(reference: Expected) -> Points:
    rows = np.flatnonzero(~reference.dead)
    places = np.array([reference.place(row) for row in rows.tolist()], np.int64)
    columns = (getattr(reference, name)[rows] for name in ("kafka_time", "anomaly_score", "threshold", "is_anomaly"))
    return Points(places[:, 0], places[:, 1], *columns)
