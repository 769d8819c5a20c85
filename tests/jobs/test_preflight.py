import pytest

from jobs.preflight import check_kafka
from jobs.runtime.errors import Fatal
from settings import Settings


def test_a_topic_that_is_lacking_is_fatal_unless_it_can_be_done_without(
    topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    check_kafka(topics, topics.transactions_topic, wanted=[topics.thresholds_topic])
    assert not [record for record in caplog.records if record.name.startswith("jobs")]
    check_kafka(topics, topics.transactions_topic, wanted=["nobody-made-this"])
    assert "has no topic nobody-made-this: create it" in caplog.text
    assert "detection goes on without it" in caplog.text
    with pytest.raises(Fatal, match="has no topic nobody-made-this: create it"):
        check_kafka(topics, topics.transactions_topic, "nobody-made-this")
