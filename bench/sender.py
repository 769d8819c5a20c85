"""`python -m bench.sender`: puts transactions that were encoded before into Kafka, paced or as fast as it can.

It is a process of its own, so that it keeps its pace whatever the benchmark does; the generator's own speed has no part in it.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import pyarrow as pa
import typer

from generator.producer import Outbox
from messaging.config import KafkaConfig

TICK_SECONDS, AT_ONCE_TICK_SECONDS = 0.002, 0.0005
AT_ONCE: Final = 2_000
LINGER_MS, FULL_SPEED_LINGER_MS = 5, 50


class Sent(msgspec.Struct):
    """What was sent: how many, from when to when (ms since the epoch), and how far behind its pace the sender ever was."""

    records: int
    first_ms: int
    last_ms: int
    most_behind_ms: float


Chunk = tuple[list[bytes], list[bytes]]


def rows(file: Path, skip: int, count: int) -> Iterator[Chunk]:
    """(keys, values) of `count` rows of the file after the first `skip`, in pieces."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            piece = batch.slice(skip, count)
            skip, count = 0, count - piece.num_rows
            keys: list[Any] = piece["key"].to_pylist()
            values: list[Any] = piece["value"].to_pylist()
            yield keys, values
            if count == 0:
                return


def send(outbox: Outbox, topic: str, chunks: Iterator[Chunk], rate: float, tick_seconds: float = TICK_SECONDS) -> Sent:
    """Send at so many a second, each with the time at which it was due as its timestamp; as fast as possible where 0."""
    first, began, sent, behind = time.time() * 1000, time.perf_counter(), 0, 0.0
    for keys, values in chunks:
        at = 0
        while at < len(keys):
            elapsed = time.perf_counter() - began
            due = int(elapsed * rate) + 1 - sent if rate else AT_ONCE
            n = min(due, AT_ONCE, len(keys) - at)
            if n <= 0:
                time.sleep(tick_seconds)
                outbox.poll()
                continue
            if rate:
                behind = max(behind, elapsed * 1000 - sent * 1000 / rate)
                stamps = [int(first + (sent + i) * 1000 / rate) for i in range(n)]
            else:
                stamps = [int(time.time() * 1000)] * n
            outbox.put_all(topic, keys[at : at + n], values[at : at + n], stamps)
            outbox.poll()
            at, sent = at + n, sent + n
    outbox.close()
    last = first + (sent - 1) * 1000 / rate if rate else time.time() * 1000
    return Sent(sent, int(first), int(last), behind)


def main(
    file: Annotated[Path, typer.Argument(help="Arrow IPC file of keys and values.")],
    servers: Annotated[str, typer.Option(help="Kafka brokers.")],
    topic: Annotated[str, typer.Option(help="Where to send.")],
    skip: Annotated[int, typer.Option(help="Rows to leave out at the beginning.")] = 0,
    count: Annotated[int, typer.Option(help="How many rows to send.")] = 1,
    rate: Annotated[float, typer.Option(help="A second; 0 for as fast as possible.")] = 0.0,
    at_once: Annotated[bool, typer.Option("--at-once", help="Send each when it is due: no batches of 5 ms.")] = False,
) -> None:
    """Send rows of a file, and print what was sent as one JSON object."""
    linger = 0 if at_once else LINGER_MS if rate else FULL_SPEED_LINGER_MS
    outbox = Outbox(KafkaConfig(servers), (topic,), linger)
    tick = AT_ONCE_TICK_SECONDS if at_once else TICK_SECONDS
    print(msgspec.json.encode(send(outbox, topic, rows(file, skip, count), rate, tick)).decode(), flush=True)


if __name__ == "__main__":
    typer.run(main)
