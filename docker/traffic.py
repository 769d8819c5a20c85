"""Simulated traffic that goes on where the transactions topic ends, so that a container started again repeats nothing."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from kafka import KafkaConsumer, TopicPartition

from jobs.kafka import client_options
from ml.schema import Transaction
from settings import Settings

LAST_RECORDS = 100  # of each partition: the very last ones may be no transactions
QUIET_SECONDS = 60

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def send(
    history: Annotated[Path, typer.Option(help="Folder of the history that the traffic continues.")],
    rate: Annotated[float, typer.Option(min=0.0, help="Transactions a second.")],
) -> None:
    """Send until stopped, from the newest event_time on the topic on; from the history's end on where it is empty."""
    arguments = [f"--history={history}", f"--rate={rate}"]
    newest = newest_event_time(Settings.from_command_line([]))
    if newest is not None:
        arguments.append(f"--start={(newest + timedelta(milliseconds=1)).isoformat()}")
    os.execv(sys.executable, [sys.executable, "-m", "generator", "send", *arguments])


@app.command()
def check() -> None:
    """Exit with 0 if a transaction came in the last minute, else with 1."""
    settings = Settings.from_command_line([])
    since = round((time.time() - QUIET_SECONDS) * 1000)
    with closing(KafkaConsumer(**client_options(settings))) as consumer:
        found = consumer.offsets_for_times(dict.fromkeys(_places(consumer, settings), since))
    if not any(found.values()):
        sys.exit(f"no transaction in the last {QUIET_SECONDS} seconds")


def newest_event_time(settings: Settings) -> datetime | None:
    """The newest event_time, not in the future, among the last records of the transactions topic; None where it has none."""
    now = datetime.now(UTC)
    with closing(KafkaConsumer(**client_options(settings))) as consumer:
        times = [transaction.event_time for transaction in _last_transactions(consumer, settings)]
    return max((moment for moment in times if moment <= now), default=None)


def _last_transactions(consumer: Any, settings: Settings) -> Iterator[Transaction]:
    places = _places(consumer, settings)
    consumer.assign(places)
    first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, max(first[place], end[place] - LAST_RECORDS))
    while any(consumer.position(place) < end[place] for place in places):
        for record in (record for records in consumer.poll(timeout_ms=1000).values() for record in records):
            try:
                yield msgspec.json.decode(record.value or b"", type=Transaction)
            except msgspec.DecodeError:
                continue  # a dead letter, as the job will find


def _places(consumer: Any, settings: Settings) -> list[TopicPartition]:
    numbers = consumer.partitions_for_topic(settings.transactions_topic) or set()
    return [TopicPartition(settings.transactions_topic, number) for number in sorted(numbers)]


if __name__ == "__main__":
    app()
