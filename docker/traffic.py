"""Whether simulated traffic flows: the health check of its container."""

import sys
import time
from contextlib import closing
from typing import Any

import typer
from kafka import KafkaConsumer, TopicPartition

from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError
from settings import Settings

QUIET_SECONDS = 60

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.callback()
def traffic() -> None:
    """The health check of the traffic's container."""


@app.command()
def check() -> None:
    """Exit with 0 if a transaction came in the last minute, else with 1."""
    settings = Settings.from_command_line([])
    try:
        options = KafkaConfig.from_settings(settings).for_kafka_python_consumer()
    except KafkaConfigError as error:
        sys.exit(f"error: {error}")
    since = round((time.time() - QUIET_SECONDS) * 1000)
    with closing(KafkaConsumer(**options)) as consumer:
        found = consumer.offsets_for_times(dict.fromkeys(_places(consumer, settings), since))
    if not any(found.values()):
        sys.exit(f"no transaction in the last {QUIET_SECONDS} seconds")


def _places(consumer: Any, settings: Settings) -> list[TopicPartition]:
    numbers = consumer.partitions_for_topic(settings.transactions_topic) or set()
    return [TopicPartition(settings.transactions_topic, number) for number in sorted(numbers)]


if __name__ == "__main__":
    app()
