"""The accounting of the service finds nothing in what is right, and each kind of difference where there is one."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from ml.features import FEATURES
from ml.model import Model
from tests.serving.test_policy import score
from tests.torture.outputs import a_log, a_model, reference_of
from torture.early import EarlyAccount, EarlyFigures, apart, lines
from torture.reference import Expected, Limits, Log, expected

MODEL = a_model()
OTHER = replace(MODEL, version=2, threshold=0.3)


@pytest.fixture(scope="module")
def reference() -> Expected:
    return reference_of(a_log(), MODEL)


def judged(reference: Expected, row: int, model: Model) -> dict[str, Any]:
    partition, offset = reference.place(row)
    anomaly_score = float(model.anomaly_score(reference.features[row : row + 1])[0])
    return {
        "partition": partition,
        "offset": offset,
        "kafka_time": int(reference.kafka_time[row]),
        "late": bool(reference.late[row]),
        "features": reference.features[row].tolist(),
        "anomaly_score": anomaly_score,
        "threshold": model.threshold,
        "is_anomaly": bool(anomaly_score > model.threshold),
        "model_version": model.version,
        "model_digest": model.digest[:16],
    }


def compared(reference: Expected, alerts: list[dict[str, Any]], answers: list[dict[str, Any]]) -> EarlyFigures:
    account = EarlyAccount(reference, lambda version: {1: MODEL, 2: OTHER}[version])
    account.take_alerts(msgspec.json.encode(score(**alert)) for alert in alerts)
    account.take_answers(answers)
    return account.figures


def comparable(reference: Expected, model: Model, count: int) -> list[dict[str, Any]]:
    rows = np.flatnonzero(~reference.dead & ~apart(reference)).tolist()
    made = [judged(reference, row, model) for row in rows]
    return [each for each in made if each["is_anomaly"]][:count]


def test_what_is_right_under_the_versions_that_it_names_is_found_right(reference: Expected) -> None:
    alerts = comparable(reference, MODEL, 20) + comparable(reference, OTHER, 40)[20:]
    found = compared(reference, alerts, alerts)
    assert found.right, found.examples
    assert found.alerts == found.answers == len(alerts) > 20
    assert compared(reference, [alerts[0], alerts[0]], []).sent_twice == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"features": [math.nextafter(1.0, 2)] * len(FEATURES)},
        {"anomaly_score": 0.123},
        {"threshold": 0.31},
        {"is_anomaly": False},
        {"model_version": 1},
        {"model_digest": "0" * 16},
        {"kafka_time": 5},
        {"late": True},
        {"offset": 900_001},
    ],
    ids=str,
)
def test_each_difference_of_an_alert_is_counted(reference: Expected, changes: dict[str, Any]) -> None:
    alert = comparable(reference, OTHER, 1)[0]
    assert not compared(reference, [alert | changes], []).right
    assert compared(reference, [alert], []).right


@pytest.mark.parametrize("changes", [{"anomaly_score": 0.123}, {"threshold": 0.31}, {"is_anomaly": False}], ids=str)
def test_each_difference_of_an_answer_is_counted(reference: Expected, changes: dict[str, Any]) -> None:
    answer = comparable(reference, OTHER, 1)[0]
    found = compared(reference, [], [answer | changes])
    assert (found.answers_differing, found.right) == (1, False)
    assert found.examples[0]["what"] == "answer"


def test_an_alert_or_an_answer_of_a_dead_letter_differs(reference: Expected) -> None:
    row = int(np.flatnonzero(reference.dead)[0])
    found = compared(reference, [judged(reference, row, OTHER)], [judged(reference, row, OTHER)])
    assert (found.alerts_differing, found.answers_differing) == (1, 1)


def test_a_customer_whose_records_come_by_two_partitions_is_counted_apart(reference: Expected) -> None:
    log = a_log()
    moved = Log(log.partition.copy(), log.offset.copy(), log.kafka_time, log.keys, log.values)
    moved.partition[100], moved.offset[100] = 7, 0
    n = len(log.offset)
    found = expected(moved, np.zeros(n, np.int64), np.ones(n, np.int64), {1: MODEL}, Limits())
    row = int(found.rows(np.array([7]), np.array([0]))[0])
    before = set(reference.customer[apart(reference)].tolist())  # a record has a wrong key already
    assert set(found.customer[apart(found)].tolist()) - before == {found.customer[row]}
    assert compared(found, [judged(found, row, OTHER)], []).unordered == 1


def test_answers_are_read_up_to_a_line_that_was_cut_off() -> None:
    assert lines(b'{"partition":0}\n{"partition":1}\n{"part') == [{"partition": 0}, {"partition": 1}]
