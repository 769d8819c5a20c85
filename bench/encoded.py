"""The transactions of an input: made once by the generator itself, and kept as the bytes that it put into Kafka."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.ipc as ipc
from confluent_kafka import Consumer, TopicPartition
from filelock import FileLock
from rich.progress import Progress

from bench.environment import Environment
from bench.errors import BenchError
from bench.inputs import ENCODED, Input
from bench.programs import PYTHON, Running
from messaging.config import KafkaConfig
from settings import Settings

_AT_ONCE = 20_000
_TIMEOUT_SECONDS = 30.0


def with_transactions(environment: Environment, made: Input, count: int, progress: Progress) -> Input:
    """The input with a file of at least `count` transactions: the traffic that continues its history, in order of time."""
    with FileLock(made.folder.with_suffix(".lock")):
        if _rows(made) < count:
            task = progress.add_task(f"making {count:,} transactions of {made.customers:,} customers", total=count)
            settings = environment.settings("encoded", made, {}, partitions=1)
            try:
                _generate(made, count, settings)
                _dump(settings, count, made, lambda written: progress.update(task, completed=written))
            finally:
                environment.discard(settings)
    return made


def _rows(made: Input) -> int:
    if not made.transactions.exists():
        return 0
    with pa.memory_map(str(made.transactions)) as source, ipc.open_file(source) as reader:
        return sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))


def _generate(made: Input, count: int, settings: Settings) -> None:
    flags = ["--rate", "0", "--count", str(count), "--history", str(made.history)]
    program = Running("generator", settings.log_dir, [*PYTHON, "generator", "send", *flags], settings.environment())
    try:
        program.wait()
    finally:
        program.end(1.0)


def _dump(settings: Settings, count: int, made: Input, report: Callable[[int], None]) -> None:
    part = made.transactions.with_suffix(".part")
    consumer = Consumer(
        {**KafkaConfig.from_settings(settings).for_confluent_consumer(), "group.id": "bench", "log_level": 2}
    )
    consumer.assign([TopicPartition(settings.transactions_topic, 0, 0)])
    written = 0
    options = ipc.IpcWriteOptions(compression="lz4")
    try:
        with pa.OSFile(str(part), "wb") as file, ipc.new_file(file, ENCODED, options=options) as writer:
            while written < count:
                messages = consumer.consume(min(_AT_ONCE, count - written), _TIMEOUT_SECONDS)
                if not messages or messages[0].error():
                    raise BenchError(f"of {count:,} transactions Kafka returned only {written:,}")
                keys, values = [m.key() for m in messages], [m.value() for m in messages]
                writer.write_batch(pa.record_batch([pa.array(keys, pa.binary()), pa.array(values)], schema=ENCODED))
                written += len(messages)
                report(written)
    finally:
        consumer.close()
    part.replace(made.transactions)
