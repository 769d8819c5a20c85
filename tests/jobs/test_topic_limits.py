"""What the output topics take is asked of the broker, and what does not fit is said before the job starts."""

import logging

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.errors import Fatal
from jobs.source.topic_limits import KAFKA_DEFAULT, TopicLimits, check_limits, read_limits, room
from messaging.topics import LARGEST_TRANSACTION, MIB
from settings import Settings
from tests.support.kafka import alter_topic


def alter(settings: Settings, topic: str, **values: object) -> None:
    alter_topic(settings.kafka_bootstrap_servers, topic, **values)


def test_limits_are_those_of_the_broker(topics: Settings) -> None:
    assert read_limits(topics) == TopicLimits(KAFKA_DEFAULT, KAFKA_DEFAULT, LARGEST_TRANSACTION + MIB)
    alter(topics, topics.alerts_topic, max_message_bytes="50000")
    assert read_limits(topics).alerts == 50_000


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("jobs")]


def test_what_fits_is_passed_over_and_what_does_not_is_said_in_one_line(
    topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "jobs")
    check_limits(topics)
    assert not said(caplog)
    alter(topics, topics.alerts_topic, max_message_bytes="50000")
    alter(topics, topics.invalid_topic, max_message_bytes="60000")
    check_limits(topics)
    alerts, invalid = said(caplog)
    assert "takes records of at most 50,000 bytes (max.message.bytes): a transaction whose score is larger" in alerts
    assert f"--alter --topic {topics.alerts_topic} --add-config max.message.bytes=69" in alerts
    assert "larger dead letters are truncated" in invalid


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_message_bytes": "4000"}, "at least 4,096 are required"),
        ({"cleanup_policy": "compact"}, "is compacted"),
    ],
)
def test_a_topic_that_nothing_could_come_through_is_an_error_that_names_the_fix(
    topics: Settings, values: dict[str, str], said: str
) -> None:
    alter(topics, topics.scores_topic, **values)
    with pytest.raises(Fatal, match=said) as raised:
        check_limits(topics)
    assert "kafka-configs.sh" in str(raised.value)


@given(st.binary(max_size=200_000))
def test_what_has_room_fits_however_badly_it_compresses(content: bytes) -> None:
    """61 bytes of a batch and at most 21 of a record stand beside what is compressed, in blocks of 64 KiB."""
    packed = lz4.frame.compress(content + bytes(21), block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=False)
    limit = len(content)
    while room(limit) < len(content):
        limit += 1
    assert 61 + len(packed) <= limit
