"""Messages of many kB each: what memory the job takes to work off a topic full of them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec
import psutil
from confluent_kafka import Producer

from bench.environment import Environment
from bench.errors import BenchError
from bench.gauges import JVM, WORKERS, kind
from bench.inputs import Input
from bench.outputs import Topic
from bench.programs import Running
from bench.sender import rows
from bench.stages import Say
from bench.systems import Scoreline
from messaging.config import KafkaConfig
from settings import Settings

LIMIT_SECONDS = 3_600.0
_WIDE = 1 << 50


class LargeMessages(msgspec.Struct):
    """The largest resident set (RSS, in bytes) that any one process of a kind had, read each second, and how long it took."""

    messages: int
    message_bytes: int
    compressible: bool
    planned_before: bool
    scored: int
    micro_batches: int
    seconds: float
    worker_rss_bytes: int
    jvm_rss_bytes: int


class Load(msgspec.Struct, frozen=True):
    """planned: the first micro-batch is fixed by a start without a bound in bytes, which is killed; the next start has it."""

    count: int = 400_000
    message_bytes: int = 60_000
    compressible: bool = True
    planned: bool = False


def large_messages(environment: Environment, made: Input, plan: Load, say: Say) -> LargeMessages:
    """Fill a topic, work it off, and watch."""
    settings = environment.settings("large", made, {"publish": False})
    try:
        say(f"writing {plan.count:,} messages of {plan.message_bytes:,} bytes")
        _fill(settings, made, plan)
        if plan.planned:
            say("a start that plans all of them as one micro-batch, killed")
            _plan(settings, made)
        say("working them off")
        return _worked_off(settings, made, plan)
    finally:
        environment.discard(settings)


def padded(made: Input, plan: Load) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of transactions with a field that is ignored, as long as it takes."""
    random = Random(7)
    blanks, noise = b"x" * plan.message_bytes, random.randbytes(plan.message_bytes).hex().encode()
    for keys, values in rows(made.transactions, 0, plan.count):
        for key, value in zip(keys, values, strict=True):
            length = plan.message_bytes - len(value) - len(b',"pad":""')
            start = random.randrange(max(1, len(noise) - length))
            pad = blanks[:length] if plan.compressible else noise[start : start + length]
            yield key, b'%b,"pad":"%b"}' % (value[:-1], pad)


def _fill(settings: Settings, made: Input, plan: Load) -> None:
    producer = Producer(
        {
            **KafkaConfig.from_settings(settings).for_confluent(),
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 50,
            "queue.buffering.max.kbytes": 256 << 10,
        }
    )
    for key, value in padded(made, plan):
        while True:
            try:
                producer.produce(settings.transactions_topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(300):
        raise BenchError("the broker did not take all messages in five minutes")


def _started(settings: Settings, made: Input, name: str) -> Running:
    scratch = {"SPARK_LOCAL_DIRS": str(Path(settings.checkpoint).parent / "spark")}
    return Running(name, settings.log_dir / name, Scoreline().command(settings, made), settings.environment() | scratch)


def _plan(settings: Settings, made: Input) -> None:
    wide = settings.model_copy(update={"max_bytes_per_trigger": _WIDE})
    program = _started(wide, made, "planning")
    planned = Path(settings.checkpoint) / "detect" / "offsets" / "0"
    try:
        _wait(planned.exists, program)
    finally:
        program.end(0.0)
    if (planned.parents[1] / "commits" / "0").exists():
        raise BenchError("the first micro-batch was done before the job could be killed: take more messages")


def _worked_off(settings: Settings, made: Input, plan: Load) -> LargeMessages:
    scores = Topic(settings.kafka_bootstrap_servers, settings.scores_topic)
    began, most = time.monotonic(), defaultdict[str, int](int)
    program = _started(settings, made, "detect")

    def done() -> bool:
        for what, rss in _resident(program):
            most[what] = max(most[what], rss)
        return scores.size() >= plan.count

    try:
        _wait(done, program)
        seconds = time.monotonic() - began
    finally:
        program.end(30.0)
    return LargeMessages(
        plan.count,
        plan.message_bytes,
        plan.compressible,
        plan.planned,
        scores.size(),
        len(list((Path(settings.checkpoint) / "detect" / "offsets").glob("[0-9]*"))),
        round(seconds, 1),
        most[WORKERS],
        most[JVM],
    )


def _wait(reached: Callable[[], bool], program: Running) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not reached():
        program.check()
        if time.monotonic() > deadline:
            raise BenchError(f"not done within {LIMIT_SECONDS:,.0f} s")
        time.sleep(1)


def _resident(program: Running) -> Iterator[tuple[str, int]]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(program.pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                yield kind(process), process.memory_info().rss
