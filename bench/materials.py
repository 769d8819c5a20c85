"""What the pieces work on: real transactions, customers' states and a model, and every step's input made from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.inputs import Input
from bench.sender import rows as rows_of
from detection.decision import BASIS, Decision
from detection.message_parsing import parse
from detection.ranges import Versions
from detection.score_json import closing, heads, judgements
from jobs.publish_points import SCORE, SCORE_FIELDS, SCORE_TAGS, Publication
from ml.features import CUSTOMER, Folded, fold, position
from ml.features.customers import Customers, identify
from ml.features.events import events
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import Score, Transaction
from sinks.sink import Sink

_KAFKA_TIME: Final = 1_800_000_000_000


@dataclass
class Chunk:
    """n transactions in every form that a step takes."""

    keys: list[bytes]
    values: list[bytes]
    transactions: list[Transaction]
    positions: np.ndarray
    identities: np.ndarray
    events: np.ndarray
    features: np.ndarray


class Stack:
    """A key-value store in memory, in the place of Spark's state."""

    def __init__(self) -> None:
        self._content: dict[int, bytes] = {}

    def get(self, key: int) -> bytes | None:
        return self._content.get(key)

    def put(self, key: int, value: bytes) -> None:
        self._content[key] = value

    def remove(self, key: int) -> None:
        del self._content[key]


class Nowhere(Sink):
    """Takes points and discards them."""

    def setup(self) -> None:
        pass

    def check(self) -> None:
        pass

    def write(self, lines: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@dataclass
class Materials:
    """states (customers,) CUSTOMER: the past of all customers, as a first start of the job takes it in."""

    model: Model
    states: np.ndarray
    chunks: list[Chunk]

    @classmethod
    def of(cls, made: Input, rows: int, chunks: int) -> "Materials":
        registry = ModelStore(made.registry_uri, "scoreline", "champion")
        packed: list[Any] = pq.read_table(made.state)["state"].to_pylist()
        states = np.frombuffer(b"".join(packed), CUSTOMER)
        material = cls(registry.load(registry.champion()), states, [])
        customers = material.customers()
        for number, (keys, values) in enumerate(_pieces(made, rows, chunks)):
            material.chunks.append(material._chunk(customers, keys, values, number * rows))
        return material

    def customers(self) -> Customers:
        """A table of their own with all the states."""
        identities = np.empty(len(self.states), [("high", "u8"), ("low", "u8")])
        identities["high"], identities["low"] = self.states["id_high"], self.states["id_low"]
        customers = Customers()
        rows = customers.locate(identities)  # before `states` is looked at: it makes their room
        customers.states[rows] = self.states
        return customers

    def fold(self, customers: Customers, chunk: Chunk) -> Folded:
        return fold(customers.states, customers.locate(chunk.identities), chunk.events)

    def json_out(self, chunk: Chunk) -> list[bytes]:
        """The part of a score's JSON that detect writes before the model is asked."""
        records = [(0, offset, _KAFKA_TIME, key) for offset, key in enumerate(chunk.keys)]
        none = np.zeros(len(records), bool)
        return heads(chunk.transactions, records, none, none, chunk.features)

    def published(self, messages: pa.RecordBatch) -> None:
        """What a task of publish does with scores, but for writing their points."""
        for _ in Publication(Nowhere()).publish(iter([messages])):
            pass

    def _chunk(self, customers: Customers, keys: list[bytes], values: list[bytes], first: int) -> Chunk:
        transactions = [parse(value) for value in values]
        offsets = np.arange(first, first + len(values), dtype=np.int64)
        positions = position(np.zeros(len(values), np.int64), offsets)
        made = Chunk(
            keys,
            values,
            transactions,
            positions,
            identify([t.customer_id for t in transactions]),
            events(transactions, positions),
            np.empty(0),
        )
        made.features = self.fold(customers, made).features
        return made


def _pieces(made: Input, rows: int, chunks: int) -> Iterator[tuple[list[bytes], list[bytes]]]:
    for number in range(chunks):
        keys: list[bytes] = []
        values: list[bytes] = []
        for some_keys, some_values in rows_of(made.transactions, number * rows, rows):
            keys += some_keys
            values += some_values
        yield keys, values


def score_messages(material: Materials, chunk: Chunk) -> pa.RecordBatch:
    """The chunk's scores as publish reads them from Kafka."""
    decision = Decision.from_table(Versions(material.model.version, name=material.model.name), material.model, None)
    basis = np.zeros(len(chunk.features), BASIS)
    basis["features"] = chunk.features
    parts = judgements(decision.judge(basis), decision.versions)
    end = closing("spark", 1, _KAFKA_TIME)
    values = [head + part + end for head, part in zip(material.json_out(chunk), parts, strict=True)]
    n = len(values)
    return pa.record_batch(
        {
            "value": pa.array(values, pa.binary()),
            "dead": pa.array(np.zeros(n, bool)),
            "reason": pa.nulls(n, pa.string()),
            "kafka_time": pa.array(np.full(n, _KAFKA_TIME + 500)),
            "partition": pa.array(np.zeros(n, np.int32)),
            "offset": pa.array(np.arange(n)),
            "input_partition": pa.nulls(n, pa.int32()),
            "input_offset": pa.nulls(n, pa.int64()),
        }
    )


def score_columns(messages: pa.RecordBatch) -> tuple[Any, ...]:
    """The arguments of `sinks.line_protocol.points` for the scores: measurement, tags, fields, times."""
    values: list[Any] = messages["value"].to_pylist()
    scores = [msgspec.json.decode(value, type=Score) for value in values]
    columns = {name: pa.array([getattr(score, name) for score in scores]) for name in (*SCORE_TAGS, *SCORE_FIELDS)}
    tags = {name: columns[name].cast(pa.string()).fill_null("unknown") for name in SCORE_TAGS}
    times = pa.array([score.kafka_time * 1_000_000 + score.offset for score in scores])
    return SCORE, tags, {name: columns[name] for name in SCORE_FIELDS}, times
