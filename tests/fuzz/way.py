"""The whole way of messages, from bytes to scores as JSON, and what must hold of everything that comes out of it."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec
import numpy as np

from detection.decision import Decision
from detection.engine import Engine, Limits
from detection.folding import Messages
from detection.ledger import Versions
from detection.message_parsing import parse
from detection.refusals import Problem
from detection.score_json import closing
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.model import Model
from ml.schema import TRANSACTION_FIELDS, Score
from ml.thresholds.table import Lookup
from tests.ml.conftest import isolation_scorer, random_features

NOW: Final = 1_790_000_000_000
GAP: Final = 100_000
NEIGHBOURS: Final = [
    msgspec.json.encode(
        {
            "transaction_id": f"N{number}",
            "event_time": f"2026-03-02T08:0{number}:00Z",
            "customer_id": f"neighbour {number % 2}",
            "amount": 5.0 + number,
            "merchant_id": "M1",
            "country": "FR",
        }
    )
    for number in range(4)
]
"""Good messages that stand before, between and after the hostile ones; their offsets are multiples of GAP."""


@cache
def decision() -> Decision:
    """A decision with a small model, so low a threshold that some are anomalies, and one segment of its own."""
    rows = np.abs(random_features(500))
    usual = np.ascontiguousarray(np.percentile(rows, (1, 50, 99), axis=0).T)
    model = Model("m", 1, isolation_scorer(rows, 0, trees=5), 0.5, FEATURES, usual)
    return Decision(Versions(1), model, Lookup.from_thresholds(0.55, {}))


def outcomes(messages: Sequence[tuple[int, bytes | None]]) -> dict[int, bytes | Problem]:
    """By offset, of messages given with their offsets: a score's JSON, or why there is none. One for each, or it raises."""
    n = len(messages)
    some = Messages(
        [value for _, value in messages], [b"C1"] * n, [NOW] * n, [0] * n, [offset for offset, _ in messages]
    )
    found = Engine(Customers(capacity=16), Limits(1 << 30)).work(some, decision(), closing("spark", 0, NOW))
    out: dict[int, bytes | Problem] = {}
    for (offset, _), came in zip(messages, found, strict=True):
        assert not isinstance(came, Problem) or "Scoreline's own" not in came.reason, came
        out[offset] = came if isinstance(came, Problem) else came.value
    return out


@cache
def undisturbed() -> dict[int, bytes | Problem]:
    """What comes of the neighbours alone."""
    return outcomes([(number * GAP, value) for number, value in enumerate(NEIGHBOURS)])


def check(hostile: Sequence[bytes | None]) -> int:
    """Send hostile messages among good ones; returns how many are scored. Raises AssertionError at whatever is wrong."""
    try:
        return _checked(hostile)
    except Exception as error:
        if len(hostile) == 1:
            raise AssertionError(f"{hostile[0]!r}") from error
        for message in hostile:
            _checked_alone(message)
        raise AssertionError(f"these together: {list(hostile)!r}") from error


def _checked_alone(message: bytes | None) -> None:
    check([message])


def _checked(hostile: Sequence[bytes | None]) -> int:
    sent = [(number * GAP, value) for number, value in enumerate(NEIGHBOURS)]
    sent += [((k % (len(NEIGHBOURS) - 1)) * GAP + k + 1, value) for k, value in enumerate(hostile)]
    sent.sort(key=lambda message: message[0])
    found = outcomes(sent)
    assert list(found) == [offset for offset, _ in sent]
    if not any(b"neighbour" in (value or b"") for value in hostile):
        assert {offset: found[offset] for offset in undisturbed()} == undisturbed()
    scored = 0
    for offset, value in sent:
        came = found[offset]
        if isinstance(came, Problem):
            assert (came.partition, came.offset, came.kafka_time, came.folded) == (0, offset, NOW, False)
            assert came.reason
        else:
            _check_score(came, offset, value)
            scored += offset % GAP > 0
    return scored


def _check_score(text: bytes, offset: int, value: bytes | None) -> None:
    score, transaction = msgspec.json.decode(text, type=Score), parse(value)
    for name in TRANSACTION_FIELDS:
        assert getattr(score, name) == getattr(transaction, name)
    assert (score.partition, score.offset, score.kafka_time) == (0, offset, NOW)
    assert len(score.features) == len(FEATURES)
    numbers = [*score.features, score.anomaly_score, score.threshold]
    assert np.isfinite(numbers).all()
    assert bool(score.reasons) == score.is_anomaly
    # Another reader of JSON, and of UTF-8, reads the same in the message and in what we wrote.
    read = json.loads((value or b"").decode(), parse_int=float)
    assert read["customer_id"] == score.customer_id == json.loads(text.decode())["customer_id"]
    assert float(read["amount"]) == score.amount
