"""Hostile messages between good ones, on real servers: each costs itself, and its neighbours are judged as without it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from detection.decision import BASIS, NOT_JUDGED
from detection.ledger import Versions
from jobs.dead_letters import SetAside, set_asides
from jobs.failures import failure_count
from jobs.scoring import Judgement, SentDecision
from jobs.source.micro_batch_size import arrivals
from jobs.source.topic_limits import TopicLimits
from jobs.tasks import Tasks
from ml.features import FEATURES, position
from ml.model import Model
from ml.thresholds.table import Lookup
from settings import Settings
from tests.detection.test_message_parsing import ESCAPE, GOOD, REFUSED, SCORED
from tests.integration.traffic import Message, judged, judgement, messages, scores, send, traffic
from tests.support.kafka import read_topic

FIRST_REPORT = GOOD[:-1] + b',"n":"caf\xe9","m":"a\\nb"}'


def hostile() -> tuple[list[bytes], list[bytes]]:
    """(those that must be refused, those that must be scored)."""
    refused = [GOOD[:-1] + one + ESCAPE + b"}" for one in REFUSED.values()]
    scored = [GOOD[:-1] + one + ESCAPE + b"}" for one in SCORED.values()]
    scored = [value.replace(b'"T1"', b'"S%d"' % number) for number, value in enumerate(scored)]
    return [FIRST_REPORT, *refused, b"\xff", b'"' * 60_000, b"[" * 60_000], scored


@pytest.mark.timeout(600)
def test_hostile_messages_cost_themselves_and_their_neighbours_are_judged_as_without_them(
    settings: Settings, detect_all: Callable[..., None], models: list[Model]
) -> None:
    good = messages(traffic(1_000, customers=80, seed=21))
    refused, scored = hostile()
    assert len(refused) + len(scored) > 22
    sent: list[Message] = list(good)
    keys = [b"C1", None, b"C00003", b'"', b"\xff"]
    for number, value in enumerate([*refused, *scored]):
        sent.insert(25 * number + 3, (keys[number % len(keys)], value))
    send(settings, sent)
    there = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    assert len(there) == len(sent)

    detect_all(settings.model_copy(update={"state_partitions": 3}), **{"spark.sql.shuffle.partitions": "3"})

    found = scores(settings)
    whole = {value for _, value in good}
    expected = judged([record for record in there if record.value in whole], models[0])
    assert {place: judgement(found[place]) for place in expected} == expected
    dead = [record.value for record in read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)]
    assert sorted(dead) == sorted(refused)
    of_hostile = [found[record.partition, record.offset] for record in there if record.value in set(scored)]
    assert sorted(score["transaction_id"] for score in of_hostile) == sorted(
        f"S{number}" for number in range(len(scored))
    )
    assert len(found) == len(expected) + len(scored)


class FailsForSome:
    """A scorer that raises where the first feature is 1, and gives no number where it is 2."""

    def anomaly_score(self, features: np.ndarray) -> np.ndarray:
        if (features[:, 0] == 1).any():
            raise RuntimeError("a tree without leaves")
        return np.where(features[:, 0] == 2, np.nan, features[:, 1])

    def contributions(self, features: np.ndarray, typical: np.ndarray) -> np.ndarray:
        return features - typical


class FailsAlways(FailsForSome):
    def anomaly_score(self, features: np.ndarray) -> np.ndarray:
        raise RuntimeError("no trees at all")


def folded(spark: SparkSession, kinds: list[int]) -> Any:
    """Rows as the fold gives them, the first feature being the kind, at offsets from 0 on; after them a dead letter."""
    rows = np.zeros(len(kinds), BASIS)
    rows["features"][:, 0], rows["features"][:, 1] = kinds, np.arange(len(kinds)) / len(kinds)
    rows["position"] = position(np.full(len(kinds), 3), np.arange(len(kinds)))
    problem = '{"reason":"bad","partition":0,"offset":0,"kafka_time":5,"folded":true}'
    data = [(b"k", b'{"n":%d' % number, row.tobytes(), None) for number, row in enumerate(rows)]
    return spark.createDataFrame(
        [*data, (b"k", b"{}", NOT_JUDGED, problem)], "key binary, value binary, basis binary, problem string"
    ).coalesce(1)


def judging(spark: SparkSession, settings: Settings, scorer: Any) -> tuple[Judgement, Any, Any]:
    model = Model("m", 7, scorer, 0.5, FEATURES, np.zeros((len(FEATURES), 3)))
    told = set_asides(spark), failure_count(spark)
    decision = SentDecision(Versions(7), spark.sparkContext.broadcast(model), Lookup.from_thresholds(0.5, {}))
    return Judgement([(0, decision)], settings, Tasks(*told, arrivals(spark), TopicLimits())), *told


def test_a_message_that_the_model_fails_for_is_set_aside_and_the_others_are_judged(spark: SparkSession) -> None:
    settings = Settings()
    kinds = [0] * 40
    kinds[0], kinds[7], kinds[8], kinds[39] = 1, 2, 1, 1
    judgement_, set_aside, failures = judging(spark, settings, FailsForSome())
    records = judgement_.records(folded(spark, kinds), 5).collect()
    by_topic = {topic: [row for row in records if row.topic == topic] for topic in {row.topic for row in records}}
    scored = [int(bytes(row.value).split(b",")[0][5:]) for row in by_topic[settings.scores_topic]]
    assert scored == [number for number, kind in enumerate(kinds) if kind == 0]
    assert len(by_topic[settings.alerts_topic]) == sum(number > 20 for number in scored)
    (dead,) = by_topic[settings.invalid_topic]
    assert {header.key: bytes(header.value) for header in dead.headers}["folded"] == b"true"
    assert set(set_aside.value) == {(3, 0), (3, 7), (3, 8), (3, 39)}
    assert all(isinstance(why, SetAside) and why.folded for why in set_aside.value.values())
    assert "RuntimeError: a tree without leaves" in set_aside.value[3, 8].reason
    assert "not a finite number" in set_aside.value[3, 7].reason
    assert failures.value.total == 4


def test_a_model_that_fails_for_every_message_fails_the_micro_batch(spark: SparkSession) -> None:
    judgement_, set_aside, _ = judging(spark, Settings(), FailsAlways())
    with pytest.raises(Exception, match="no trees at all"):
        judgement_.records(folded(spark, [0] * 10), 5).collect()
    assert not set_aside.value
