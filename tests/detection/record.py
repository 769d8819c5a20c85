"""Records `tests.detection.recorded_log`: simulated traffic, frauds and hostile messages, and what comes of them."""

import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import msgspec
import numpy as np

from detection.intake import take_in
from generator.population import make_population
from generator.records import Records, records
from generator.runs import Run
from generator.stream import transactions
from ml.detectors.combined import Combined
from ml.detectors.isolation_forest import IsolationForest
from ml.detectors.random_forest import RandomForest
from ml.detectors.xgboost import XGBoost
from ml.features import FEATURES, fold, position
from ml.features.customers import Customers, identify
from ml.model import Model, usual_ranges
from ml.scorers import serialization
from ml.segments import segment_name
from ml.thresholds.budget import threshold_for_budget
from ml.thresholds.table import Table
from tests.detection import recorded_log
from tests.detection.recorded_log import FOLDER, Judged, Message, Numbers
from tests.fuzz.mutate import hostile

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, CUSTOMERS, HOSTILE = 14, 42, 300
BUDGET = 0.03


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    log, frauds = _log(Random(13))
    recorded_log.pack("messages", msgspec.msgpack.encode(log))
    model, table = _model(log, frauds), _table(log)
    serialization.write(model.scorer, FOLDER / "scorer.npz")
    (FOLDER / "model.json").write_bytes(msgspec.json.encode(Numbers(model.threshold, model.usual.tolist())))
    (FOLDER / "table.json").write_bytes(msgspec.json.encode(table))
    outcome = recorded_log.judged_now(log, recorded_log.model(), recorded_log.table())
    recorded_log.write(outcome)
    assert recorded_log.recorded() == outcome
    judged = [one for one in outcome.messages if isinstance(one, Judged)]
    flags = ("late", "key_mismatch", "order_undefined", "is_anomaly")
    print(len(log), len(judged), {name: sum(getattr(one, name) for one in judged) for name in flags})
    print({file.name: file.stat().st_size for file in FOLDER.iterdir()})


def _log(random: Random) -> tuple[list[Message], set[str]]:
    """Traffic in an order that it might come in, and the transactions that are frauds."""
    run = Run("attack", 0.03, begins=START + timedelta(days=DAYS - 2))
    hours = islice(transactions(make_population(11, CUSTOMERS), START, run), DAYS * 24)
    coming, frauds = _sent((records(hour) for hour in hours), random)
    coming.sort(key=lambda one: one[0])
    first, last = coming[0][0], coming[-1][0]
    for _ in range(HOSTILE):
        coming.append((random.randrange(first, last), b"C1", hostile(random)))
    coming += [(first, b"C1", None), (first, None, b""), (first, None, b"[]")]
    coming.sort(key=lambda one: one[0])
    offsets = [0, 0]
    log = []
    for number, (time, key, value) in enumerate(coming):
        strays = random.random() < 0.003
        partition = (zlib.crc32(key or b"") + strays) % 2
        log.append(Message(partition, offsets[partition], time, key, value, number >= len(coming) // 2))
        offsets[partition] += 1
    return log, frauds


def _sent(hours: Iterable[Records], random: Random) -> tuple[list[tuple[int, bytes | None, bytes | None]], set[str]]:
    """(Kafka time in ms, key, value): most within a second, some late, twice, under another key or long before their time."""
    coming: list[tuple[int, bytes | None, bytes | None]] = []
    frauds: set[str] = set()
    for hour in hours:
        frauds |= {label.transaction_id for label in hour.truth.values()}
        for key, value, time in zip(hour.keys, hour.values, hour.times.tolist(), strict=True):
            kind = random.random()
            delay = random.randrange(20, 900)
            if kind < 0.03:
                delay = random.randrange(60_000, 60 * 3_600_000)
            elif kind < 0.035:
                delay = -random.randrange(3_600_000, 40 * 3_600_000)
            coming.append((time + delay, key if kind < 0.99 else b"another", value))
            if 0.5 < kind < 0.52:
                coming.append((time + delay + random.randrange(1, 7_200_000), key, value))
    return coming, frauds


def _model(log: list[Message], frauds: set[str]) -> Model:
    places = position(np.array([m.partition for m in log]), np.array([m.offset for m in log]))
    arrived = take_in([m.value for m in log], np.array([m.kafka_time for m in log]), places, 24.0)
    customers = Customers()
    rows = customers.locate(identify([t.customer_id for t in arrived.transactions]))
    features = fold(customers.states, rows, arrived.events).features
    known = np.array([t.transaction_id in frauds for t in arrived.transactions])
    detector = Combined(IsolationForest(12, 128), XGBoost(30, 3), RandomForest(4))
    scorer = detector.fit(features, known, 5)
    blind = Model("recorded", 7, scorer, 0.5, FEATURES, usual_ranges(features))
    threshold = threshold_for_budget(blind.anomaly_score(features), BUDGET)
    return replace(blind, threshold=threshold)


def _table(log: list[Message]) -> Table:
    thresholds = {segment_name("online", "electronics"): 0.02, segment_name("chip", "groceries"): 0.9}
    thresholds |= {segment_name("online", category): 0.2 for category in ("travel", "clothing", None)}
    return Table(3, 7, 0, log[-1].kafka_time, 0, 0.3, thresholds, "d1" * 8)


if __name__ == "__main__":
    main()
