"""The pieces alone: each step of the way of a transaction, on one thread, without Spark around it."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import psutil
import pyarrow as pa

from bench.environment import Environment
from bench.inputs import Input
from bench.materials import Chunk, Materials, Stack, score_columns, score_messages
from bench.result import Piece
from bench.stages import Say
from detection.message_parsing import parse
from detection.state_log import LocalCopy, StateLog
from generator.history import read_origin
from generator.live import Kafka, live_sender
from generator.records import records
from generator.send import SendOptions, Topics
from messaging.config import KafkaConfig
from ml.features import fold
from ml.features.customers import identify
from ml.features.events import events
from sinks.influxdb import InfluxDBSink
from sinks.line_protocol import points

POINTS_A_REQUEST: Final = 10_000

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """Microseconds a row: of wall time, and of this process's CPU."""

    us: float
    cpu_us: float

    def without(self, *parts: "Timing | None") -> "Timing":
        """What is left when parts, as far as they were measured, are taken out."""
        known = [part for part in parts if part is not None]
        return Timing(self.us - sum(part.us for part in known), self.cpu_us - sum(part.cpu_us for part in known))


def timed(work: Callable[[T], Any], chunks: Sequence[T], rows: int) -> Timing:
    """The median over the chunks, but for the first, which warms up; each has so many rows."""
    taken = []
    for chunk in chunks:
        wall, cpu = time.perf_counter(), time.process_time()
        work(chunk)
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    us, cpu_us = np.median(taken[1:], axis=0) * 1e6 / rows
    return Timing(float(us), float(cpu_us))


class Pieces:
    """Measures one piece after the other. One that fails is noted with its reason: the others still count."""

    def __init__(self, rows: int, say: Say) -> None:
        self.found: list[Piece] = []
        self._rows, self._say = rows, say

    def measure(self, name: str, side: str, timing: Callable[[], Timing]) -> Timing | None:
        """Adds the piece; its timing, None where it failed."""
        self._say(name)
        try:
            timed = timing()
        except Exception as error:  # noqa: BLE001  # a piece that has moved must not hide the others
            self.found.append(Piece(name, side, self._rows, failed=f"{type(error).__name__}: {error}"))
            return None
        self.found.append(Piece(name, side, self._rows, timed.us, timed.cpu_us))
        return timed


def pieces(environment: Environment, made: Input, rows: int, repetitions: int, say: Say) -> list[Piece]:
    """Every piece, over `repetitions` + 1 chunks of so many transactions, onto the state of all customers."""
    pa.set_cpu_count(1)
    found = Pieces(rows, say)
    say("taking in the material")
    material = Materials.of(made, rows, repetitions + 1)
    _detect(found, material, rows)
    _publish(found, material, environment, rows)
    _generator(found, environment, made, rows, repetitions)
    return found.found


def _detect(found: Pieces, material: Materials, rows: int) -> None:
    chunks = material.chunks
    found.measure("parse JSON", "detect", lambda: timed(lambda c: [parse(v) for v in c.values], chunks, rows))
    found.measure(
        "events and identities",
        "detect",
        lambda: timed(
            lambda c: (events(c.transactions, c.positions), identify([t.customer_id for t in c.transactions])),
            chunks,
            rows,
        ),
    )
    table = material.customers()
    located = found.measure(
        "find customers", "detect", lambda: timed(lambda c: table.locate(c.identities), chunks, rows)
    )
    placed = [(table.locate(chunk.identities), chunk.events) for chunk in chunks]
    folding = found.measure("fold", "detect", lambda: timed(lambda c: fold(table.states, *c), placed, rows))
    found.measure("state log", "detect", lambda: _state_log(material, rows, (located, folding)))
    found.measure("score", "detect", lambda: timed(lambda c: material.model.anomaly_score(c.features), chunks, rows))
    found.measure("reasons of 1 % alerts", "detect", lambda: _reasons(material, rows))
    found.measure("JSON out", "detect", lambda: timed(material.json_out, chunks, rows))


def _state_log(material: Materials, rows: int, within: Sequence[Timing | None]) -> Timing:
    """A step of the state log into a dict, without finding and folding, which are pieces of their own."""
    with tempfile.TemporaryDirectory() as folder:
        log = StateLog(Stack(), LocalCopy(Path(folder)))
        log.seed(material.states)

        def step(chunk: Chunk) -> None:
            with log.folding() as fold:
                fold(chunk.identities, chunk.events)

        whole = timed(step, material.chunks, rows)
    return whole.without(*within)


def _reasons(material: Materials, rows: int) -> Timing:
    """The reasons of the strangest hundredth of each chunk, spread over all of its rows."""
    alerts = max(1, rows // 100)
    strangest = [c.features[np.argsort(material.model.anomaly_score(c.features))[-alerts:]] for c in material.chunks]
    return timed(material.model.reasons, strangest, rows)


def _publish(found: Pieces, material: Materials, environment: Environment, rows: int) -> None:
    messages = [score_messages(material, chunk) for chunk in material.chunks]
    columns = [score_columns(chunk) for chunk in messages]
    lines = timed(lambda c: points(*c), columns, rows)
    found.measure("decode and tally", "publish", lambda: timed(material.published, messages, rows).without(lines))
    found.measure("line protocol", "publish", lambda: lines)
    requests = [[points(*_slice(c, start)) for start in range(0, rows, POINTS_A_REQUEST)] for c in columns]
    stack = environment.stack.influxdb
    server = psutil.Process(stack.pid)
    before = server.cpu_times()
    with InfluxDBSink(stack.url, stack.create_database("pieces"), "scoreline") as sink:

        def write(parts: list[bytes]) -> None:
            for part in parts:
                sink.write(part)

        found.measure("write to InfluxDB", "publish", lambda: timed(write, requests, rows))
    after = server.cpu_times()
    stack.drop_database("pieces")
    used = (after.user + after.system - before.user - before.system) * 1e6 / (rows * len(requests))
    found.measure("InfluxDB server's CPU", "InfluxDB", lambda: Timing(used, used))


def _slice(columns: tuple[Any, ...], start: int) -> tuple[Any, ...]:
    measurement, tags, fields, times = columns
    part = slice(start, start + POINTS_A_REQUEST)
    return (
        measurement,
        {name: column[part] for name, column in tags.items()},
        {name: column[part] for name, column in fields.items()},
        times[part],
    )


def _generator(found: Pieces, environment: Environment, made: Input, rows: int, repetitions: int) -> None:
    settings = environment.settings("pieces", made, {})
    topics = settings.transactions_topic, settings.labels_topic, settings.truth_topic

    def timing() -> Timing:
        kafka = Kafka(KafkaConfig.from_settings(settings), Topics(*topics))
        hours = iter(live_sender(read_origin(made.history), kafka, SendOptions(0.0)).batches)
        next(hours)  # the first hour takes the making of the bank along
        wall, cpu, count = time.perf_counter(), time.process_time(), 0
        while count < rows * repetitions:
            count += len(records(next(hours)).values)
        return Timing((time.perf_counter() - wall) * 1e6 / count, (time.process_time() - cpu) * 1e6 / count)

    try:
        found.measure("generator, without Kafka", "generator", timing)
    finally:
        environment.discard(settings)
