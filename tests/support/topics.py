"""Changes topics as an administrator does."""

import time

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from messaging.config import KafkaConfig
from messaging.topics import create_topics
from settings import Settings


def make_again(settings: Settings, topic: str, partitions: int = 4) -> None:
    """Delete a topic and make it again under its name, empty, with so many partitions."""
    with KafkaAdminClient(**KafkaConfig.from_settings(settings).for_kafka_python()) as admin:
        [before] = admin.describe_topics([topic])
        admin.delete_topics([topic])
        deadline = time.monotonic() + 60
        while True:
            try:
                create_topics(settings, partitions)
                [after] = admin.describe_topics([topic])
                if after["error_code"] == 0 and after["topic_id"] != before["topic_id"]:
                    assert len(after["partitions"]) == partitions
                    return
            except KafkaError:
                pass
            assert time.monotonic() < deadline, f"{topic} was not made again: {after}"
            time.sleep(0.2)
