"""Reads what the tests' Kafka holds."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from messaging.config import KafkaConfig

LARGEST_RECORD = 16 << 20


def alter_topic(bootstrap_servers: str, topic: str, **values: object) -> None:
    """Set values of a topic's configuration (max_message_bytes=…), and wait until the broker goes by them."""
    wanted = {name.replace("_", "."): str(value) for name, value in values.items()}
    asked = ConfigResource(ConfigResourceType.TOPIC, topic, list(wanted))
    with KafkaAdminClient(**KafkaConfig(bootstrap_servers).for_kafka_python()) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
        for _ in range(200):
            found = admin.describe_configs([asked], config_filter="all")["topic"][topic]
            if all(
                str(found[name]["value"] if isinstance(found[name], dict) else found[name]) == wanted[name]
                for name in wanted
            ):
                return
            time.sleep(0.05)
    raise AssertionError(f"the broker did not take up {wanted} in 10 s")


def count_records(bootstrap_servers: str, topic: str) -> int:
    """How many records the topic holds now, by its offsets: nothing of them is read."""
    with KafkaConsumer(**KafkaConfig(bootstrap_servers).for_kafka_python(), enable_auto_commit=False) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends, begins = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
    return sum(ends[partition] - begins[partition] for partition in partitions)


def read_topic(bootstrap_servers: str, topic: str) -> list[ConsumerRecord]:
    """All records that the topic holds now, by partition and offset. Values and keys are bytes or None."""
    with KafkaConsumer(
        **KafkaConfig(bootstrap_servers).for_kafka_python(),
        enable_auto_commit=False,
        max_partition_fetch_bytes=LARGEST_RECORD,
        fetch_max_bytes=LARGEST_RECORD,
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for batch in consumer.poll(timeout_ms=1_000).values():
                records.extend(batch)
    records = [record for record in records if record.offset < ends[TopicPartition(topic, record.partition)]]
    return sorted(records, key=lambda record: (record.partition, record.offset))
