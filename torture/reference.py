"""The reference that every comparison uses: one fold along the ledger's micro-batches, each by partition and offset.

It parses, folds and judges by the functions of `ml` alone. It uses nothing of the job's own runtime.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from detection import message_parsing
from ml import features
from ml.features import EVENT, FEATURES, NO_POSITION
from ml.features.currencies import AS_PAID, Rates, keep_roundness
from ml.features.customers import Customers, identify
from ml.features.events import events
from ml.features.state_schema import FOLD_VERSION
from ml.model import Model
from ml.schema import DIGEST_DIGITS, Transaction

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PIECE: Final = 20_000
"""Records worked on at a time; the outcome does not depend on it."""

_encode: Final = msgspec.json.Encoder().encode


class Log(NamedTuple):
    """n records of the transactions topic, in any order. kafka_time in ms; a key or value may be None."""

    partition: Integers
    offset: Integers
    kafka_time: Integers
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]


class Limits(NamedTuple):
    """What makes a message a dead letter although it is a transaction: the job's settings of these names.

    rates: by which its amount is compared with others.
    """

    max_transaction_bytes: int = 65_536
    max_future_hours: float = 24.0
    rates: Rates = AS_PAID


class Expected:
    """What must come of each of n records, in the order of (partition, offset).

    position (n,): see `ml.features.position`. source (n,): the row of the log. reasons: why a row is a dead letter, by row;
    None where any text will do. All else is only of meaning where `dead` is False; fields (n,) are the hashes
    of the transactions' own fields (`fields_hash`). customer (n,): a hash of its customer, 0 for a message that has none.
    """

    def __init__(self, log: Log, micro_batches: Integers, model_versions: Integers) -> None:
        n = len(log.offset)
        positions = features.position(log.partition, log.offset)
        self.source = np.argsort(positions)
        self.position = positions[self.source]
        self.kafka_time = log.kafka_time[self.source]
        self.micro_batch = micro_batches[self.source]
        self.model_version = model_versions[self.source]
        self.dead = np.zeros(n, np.bool_)
        self.reasons: dict[int, str | None] = {}
        self.late, self.order_undefined = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self.key_mismatch, self.is_anomaly = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self.features = np.zeros((n, len(FEATURES)))
        self.anomaly_score, self.threshold = np.zeros(n), np.zeros(n)
        self.fields = np.zeros(n, np.uint64)
        self.customer = np.zeros(n, np.uint64)
        self.model_digest = np.full(n, "", f"U{DIGEST_DIGITS}")
        self.fold_version = np.full(n, FOLD_VERSION)

    def rows(self, partition: Integers, offset: Integers) -> Integers:
        """(m,) the row of each place; -1 where the log has no such record."""
        wanted = features.position(partition, offset)
        found = np.minimum(np.searchsorted(self.position, wanted), len(self.position) - 1)
        known: Bools = self.position[found] == wanted if len(self.position) else np.zeros(len(wanted), np.bool_)
        return np.where(known & (partition >= 0) & (offset >= 0), found, -1)

    def place(self, row: int) -> tuple[int, int]:
        """(partition, offset) of a row."""
        return features.place(int(self.position[row]))

    def set_aside(self, row: int, reason: str | None) -> None:
        """Note that a row is a dead letter."""
        self.dead[row] = True
        self.reasons[row] = reason


def expected(
    log: Log, micro_batches: Integers, model_versions: Integers, models: Mapping[int, Model], limits: Limits
) -> Expected:
    """Fold the whole log once, micro-batch by micro-batch, and judge each record by its micro-batch's model.

    micro_batches, model_versions: (n,), of each record. Raises KeyError where a model is missing.
    """
    out = Expected(log, micro_batches, model_versions)
    customers = Customers()
    order = np.lexsort((out.position, out.micro_batch))
    for start in range(0, len(order), PIECE):
        rows = order[start : start + PIECE]
        taken = [row for row in rows.tolist() if not _too_large(out, row, log, limits)]
        _fold(out, customers, list(_transactions(out, taken, log, limits)), limits.rates)
    _judge(out, models)
    return out


def fields_hash(transaction: Transaction) -> int:
    """A hash of a transaction's own fields, by which two can be compared."""
    return xxhash.xxh3_64_intdigest(_encode(transaction))


def _too_large(out: Expected, row: int, log: Log, limits: Limits) -> bool:
    source = int(out.source[row])
    size = len(log.keys[source] or b"") + len(log.values[source] or b"")
    if size <= limits.max_transaction_bytes:
        return False
    out.set_aside(row, f"the message has {size:,} bytes")
    return True


Taken = tuple[int, Transaction]
"""A row and its transaction."""


def _transactions(out: Expected, rows: Sequence[int], log: Log, limits: Limits) -> Iterator[Taken]:
    for row in rows:
        source = int(out.source[row])
        try:
            transaction = message_parsing.parse(log.values[source])
            early = message_parsing.too_early(transaction, int(log.kafka_time[source]), limits.max_future_hours)
            out.fields[row] = fields_hash(transaction)
            customer = transaction.customer_id.encode()
        except message_parsing.Invalid as error:
            out.set_aside(row, str(error))
        except Exception:  # noqa: BLE001  # a message that trips us costs itself and no other, here as in the job
            out.set_aside(row, None)
        else:
            out.customer[row] = xxhash.xxh3_64_intdigest(customer) | 1
            if early is None:
                out.key_mismatch[row] = log.keys[source] != customer
                yield row, transaction
            else:
                out.set_aside(row, early)


def _events(out: Expected, taken: Sequence[Taken], rates: Rates) -> tuple[Sequence[Taken], np.ndarray]:
    """What can be made an event, and the events (m,) EVENT."""
    try:
        rows = np.array([row for row, _ in taken], np.int64)
        return taken, events([transaction for _, transaction in taken], out.position[rows], rates)
    except Exception:  # noqa: BLE001  # one of them cannot: find it
        if len(taken) == 1:
            out.set_aside(taken[0][0], None)
            return [], np.zeros(0, EVENT)
        pieces = [_events(out, [one], rates) for one in taken]
        return [one for whole, _ in pieces for one in whole], np.concatenate([events for _, events in pieces])


def _fold(out: Expected, customers: Customers, taken: Sequence[Taken], rates: Rates) -> None:
    taken, events = _events(out, taken, rates)
    if not taken:
        return
    rows = np.array([row for row, _ in taken], np.int64)
    slots = customers.locate(identify([transaction.customer_id for _, transaction in taken]))
    folded = features.fold(customers.states, slots, events)
    paid = np.array([transaction.amount for _, transaction in taken])
    keep_roundness(folded.features, events["amount"], paid)
    out.features[rows], out.late[rows] = folded.features, folded.late
    out.order_undefined[rows] = folded.order_undefined
    for k in np.flatnonzero(folded.duplicate_of != NO_POSITION).tolist():
        earlier = features.place(int(folded.duplicate_of[k]))
        name = taken[k][1].transaction_id
        out.set_aside(int(rows[k]), "transaction_id {!r} is a duplicate of {}/{}".format(name, *earlier))


def _judge(out: Expected, models: Mapping[int, Model]) -> None:
    for version in np.unique(out.model_version[~out.dead]).tolist():
        model = models[version]
        rows = np.flatnonzero((out.model_version == version) & ~out.dead)
        out.anomaly_score[rows] = model.anomaly_score(out.features[rows])
        out.threshold[rows] = model.threshold
        out.is_anomaly[rows] = model.is_anomaly(out.anomaly_score[rows])
        out.model_digest[rows] = model.digest[:DIGEST_DIGITS]
