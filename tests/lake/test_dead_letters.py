"""Dead letters by reason: a kind that has become more frequent is an alarm."""

import time

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from lake import dead_letters
from lake.dead_letters import Counted, counted, with_dead_letters
from messaging.config import KafkaConfig
from ml.drift.alarms import Look
from ml.drift.policy import DriftPolicy
from ml.features import DAY, HOUR
from settings import Settings

END = 100 * DAY
NOTHING = Look((), ())
runner = CliRunner()


def test_each_is_counted_in_its_day_or_week_by_its_reason_without_numbers() -> None:
    records = [
        (END - 1, b"duplicate of 1/2"),
        (END - 5, b"duplicate of 3/44"),
        (END - DAY - 1, b"no JSON"),
        (0, b"no JSON"),
    ]
    found = counted([*records, (END, b"later"), (END - 8 * DAY, None)], END)
    assert found.day == {"duplicate of #/#": 2}
    assert found.week == {"no JSON": 1, "no reason": 1}


def test_a_reason_that_rises_is_an_alarm_and_others_are_findings() -> None:
    of = Counted({"no JSON": 900, "duplicate of #/#": 12}, {"no JSON": 70, "duplicate of #/#": 84})
    found = with_dead_letters(NOTHING, of, (10_000, 70_000), END, DriftPolicy.read())
    assert [alarm.finding.what for alarm in found.lasting] == ["dead letters: no JSON"]
    assert found.lasting[0].finding.rise == pytest.approx(900 / 10_912 - 70 / 70_154)
    assert [finding.is_drift for finding in found.newest] == [True, False]


def test_a_reason_that_rises_surely_but_little_is_no_alarm() -> None:
    of = Counted({"no JSON": 400}, {"no JSON": 700})
    found = with_dead_letters(NOTHING, of, (100_000, 700_000), END, DriftPolicy.read())
    assert found.newest[0].p < 1e-6
    assert (found.newest[0].is_drift, found.alarms) == (False, ())


@pytest.mark.parametrize("scores", [(10_000, 0), (0, 0)])
def test_without_a_week_to_compare_with_nothing_is_said(scores: tuple[int, int]) -> None:
    assert (
        with_dead_letters(NOTHING, Counted({"no JSON": 5} if scores[0] else {}, {}), scores, END, DriftPolicy.read())
        == NOTHING
    )


def test_at_most_fifty_reasons_are_kept() -> None:
    of = Counted({f"reason {chr(65 + k % 26)}{chr(65 + k // 26)}": 1 + k for k in range(200)}, {"old": 1})
    assert len(with_dead_letters(NOTHING, of, (1_000, 7_000), END, DriftPolicy.read()).newest) == 50


def test_they_are_read_from_a_real_topic(topics: Settings) -> None:
    """Whose times are those at which Kafka took them in."""
    kafka = KafkaConfig.from_settings(topics)
    producer = Producer(kafka.for_confluent())
    for number in range(3):
        producer.produce(topics.invalid_topic, b"{", headers=[("reason", f"row {number} is no JSON".encode())])
    producer.produce(topics.invalid_topic, b"{")
    producer.flush()
    end = round(time.time() * 1000) + HOUR
    assert dead_letters.read(kafka, topics.invalid_topic, end) == Counted({"row # is no JSON": 3, "no reason": 1}, {})
    assert dead_letters.read(kafka, topics.invalid_topic, end - 2 * HOUR) == Counted({}, {})
