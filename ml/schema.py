"""The records that travel between Scoreline's parts, each declared once; everything else derives its form from here."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Generic, Literal, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Meta

CHANNELS: Final = ("contactless", "chip", "atm", "online", "transfer")
"""The channels that the fold distinguishes, the further from a card in a shop the later; others count as unknown."""

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, Meta(tz=True)]
Partition = Annotated[int, Meta(ge=0, lt=2**15)]
Offset = Annotated[int, Meta(ge=0, lt=2**48)]
"""A record's place; both together fit into one integer of 64 bits (`ml.features.position`)."""
KafkaTime = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Milliseconds since the epoch, as Kafka counts them; a producer may set any, and -1 means none."""
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]

LABEL_SOURCES: Final = ("chargeback", "analyst")
"""Who may label a transaction, in the order in which they count (`ml.label_rule`); any other source comes after them."""


class Transaction(msgspec.Struct, gc=False):
    """One payment, as a producer sends it: JSON, UTF-8, one object a message, the Kafka key equal to `customer_id`.

    The first four fields are required; the others are null when unknown. `amount` is in `currency`; zero is allowed
    (a zero-amount authorisation). `latitude` and `longitude` are the merchant's, in degrees. There is no label here.
    """

    transaction_id: Identifier
    event_time: Time
    customer_id: Identifier
    amount: Annotated[float, Meta(ge=0)]
    currency: str | None = None
    merchant_id: str | None = None
    merchant_category: str | None = None
    country: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    channel: str | None = None
    device_id: str | None = None


class Label(msgspec.Struct, omit_defaults=True):
    """What became known of one transaction, later: a chargeback, an analyst's verdict, a simulator's truth.

    `is_fraud` is null where the source withdraws what it had said; which of several labels counts says `ml.label_rule`.
    `scenario` is the kind of fraud, `campaign` the one attack that it was part of; both are left out of JSON when unknown.
    """

    transaction_id: Identifier
    customer_id: Identifier
    is_fraud: bool | None
    label_time: Time
    source: str
    scenario: str | None = None
    campaign: str | None = None


TRANSACTION_FIELDS: Final = Transaction.__struct_fields__
REQUIRED_FIELDS: Final = TRANSACTION_FIELDS[:4]

_ARROW = {
    "event_time": pa.timestamp("ms", tz="UTC"),
    "amount": pa.float64(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
}

TRANSACTION_ARROW: Final = pa.schema(
    [pa.field(name, _ARROW.get(name, pa.string()), nullable=name not in REQUIRED_FIELDS) for name in TRANSACTION_FIELDS]
)
"""The Arrow and Parquet form of `Transaction`: what history files hold, and Spark's schema is derived from."""


DIGEST_DIGITS: Final = 16
"""How much of a model's digest (SHA-256, hexadecimal) a score carries."""

Digest = Annotated[str, Meta(max_length=64)]

EXTRA_PREFIX: Final = "extra_"
"""What the column of a history begins with that holds an extra: a number that a bank has beside the contract's fields. What
follows is the extra's name, by which messages, models and scores know it (`ml.features.declared`)."""

EXTRA_NAME: Final = r"[A-Za-z][A-Za-z0-9_]{0,63}"
"""What an extra may be called; but not like a field of a transaction, nor like a column of a history."""


def is_extra_name(name: str) -> bool:
    """Whether an extra may have this name.

    >>> is_extra_name("device_risk"), is_extra_name("amount"), is_extra_name("extra_a"), is_extra_name("2nd")
    (True, False, False, False)
    """
    return (
        re.fullmatch(EXTRA_NAME, name) is not None
        and name not in TRANSACTION_FIELDS
        and not name.startswith(EXTRA_PREFIX)
    )


class Reason(msgspec.Struct):
    """One feature of an alert: its value, and the range that 98 % of the training transactions lie in."""

    feature: str
    value: float
    usual_low: float
    usual_high: float


SCORE_SCHEMA: Final = 2
"""What `schema_version` says of a score as it is written today; records that lack it are of version 1."""

SchemaVersion = Annotated[int, Meta(ge=1, le=SCORE_SCHEMA)]
"""For readers of parts that both versions of a score have alike: a later version may mean something else, and is refused."""

Lane = Literal["spark", "early"]
"""Who judged: the Spark job, whose record is the lasting one, or the service that answers at once."""


class Challenge(msgspec.Struct):
    """What another model than the one that judged says of a transaction; nobody is alerted by it."""

    model_name: str
    model_version: Version
    model_digest: Digest
    anomaly_score: float
    threshold: float
    threshold_version: Version = 0
    is_anomaly: bool = False


class Score(Transaction, gc=False, kw_only=True):
    """One scored transaction, as JSON on `scores` and, for anomalies, on `alerts`: the transaction's own fields and these.

    `detection.score_json` writes it, and reads what earlier releases wrote (`schema_version` 1). (partition, offset) is the
    record's identity. Times are milliseconds since the epoch, as Kafka counts them. features: in the order of the feature set
    that `feature_set` names (docs/features.md). reasons, named_features: of anomalies alone, left out of other records.
    threshold_version: of the table that the threshold is from; 0 for the model's own. profile_version: of the profiles;
    0 where none were used. profile_features: in the order of the set that `profile_set` names, where the model judges by
    profiles, else left out; profile_ahead: true where that table knew of the transaction's own block, else left out.
    model_digest: what the model is, by the first `DIGEST_DIGITS` of its digest. order_undefined: the customer's records have
    come by two Kafka partitions, between which the log has no order. fold_version: by what meaning of state and features it was
    folded. micro_batch: null in the lane that has none. challenger: what a model on trial says; left out where there is none,
    or where it meets other customers. champion: what the champion says where the model on trial judged; else left out.
    currency_version: of the rates by which its amount was compared; left out where it was folded as it was paid.
    currency_unknown: true where these rates lack its currency, so that the features say nothing of its amount; else left out.
    extras: of those that are declared the numbers, null where unknown; refused_extras: why some are unknown although the
    transaction has them. Both are left out where there are none.
    """

    schema_version: Literal[2]
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    late: bool
    key_mismatch: bool
    order_undefined: bool
    features: list[float]
    extras: dict[str, float | None] | None = None
    refused_extras: dict[str, str] | None = None
    anomaly_score: float
    is_anomaly: bool
    threshold: float
    model_name: str
    model_version: Version
    model_digest: Digest
    threshold_version: Version
    feature_set: str
    fold_version: Version
    lane: Lane
    micro_batch: int | None
    profile_version: Version
    scored_at: int
    reasons: list[Reason] = []
    named_features: dict[str, float] | None = None
    profile_features: list[float] | None = None
    profile_set: str = ""
    profile_ahead: bool = False
    challenger: Challenge | None = None
    champion: Challenge | None = None
    currency_version: Digest = ""
    currency_unknown: bool = False


Severity = Literal["info", "warning", "critical"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the system, as JSON on `events`, for people: docs/contracts.md has the kinds.

    subject: what it happened to, as model scoreline or query publish. words: one sentence. data: figures and names beside it.
    source: the part that says so. resolved: what an earlier event of this kind and subject reported is over.
    """

    schema_version: Literal[1] = 1
    at: Time
    kind: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    severity: Severity
    subject: Identifier
    words: Annotated[str, Meta(min_length=1, max_length=2_000)]
    source: Annotated[str, Meta(max_length=64)] = ""
    resolved: bool = False
    data: dict[str, str | int | float | bool | None] = {}


T = TypeVar("T")


class Unreadable(Exception):
    """A record is not what its topic is for; the text says why."""


class Read(NamedTuple, Generic[T]):
    """What could be read of n values: the records, the row of each, and by row why the others could not."""

    records: list[T]
    rows: list[int]
    unreadable: dict[int, str]


class Reader(Generic[T]):
    """Reads a topic's records as JSON of one kind. Anybody may write to a topic: foreign records are left out.

    >>> Reader(Label).read_all([b"{", None]).unreadable
    {0: 'Input data was truncated', 1: 'no value'}
    """

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, value: bytes | None) -> T:
        """One value. Raises `Unreadable`, and nothing else whatever the value is."""
        if value is None:
            raise Unreadable("no value")
        try:
            return self._decode(value)
        except Exception as error:  # noqa: BLE001  # bytes of others: too deep (RecursionError), no text, too large, …
            raise Unreadable((str(error) or type(error).__name__)[:200]) from None

    def read_all(self, values: Sequence[bytes | None]) -> Read[T]:
        """Those of (n,) values that can be read."""
        try:
            return Read([self._decode(value) for value in values], list(range(len(values))), {})  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001  # some are others': find them one by one
            pass
        out: Read[T] = Read([], [], {})
        for row, value in enumerate(values):
            try:
                out.records.append(self.read(value))
                out.rows.append(row)
            except Unreadable as error:
                out.unreadable[row] = str(error)
        return out
