"""A recorded log and what came of it, which every later state of the code is held to, bit for bit.

`python -m tests.detection.recorded_log` judges the recorded messages by the code as it is, and says whether the judgements
are the recorded ones. `tests.detection.record` wrote the files, once, before the judgement moved out of the jobs.
"""

import lzma
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from detection.decision import Decision
from detection.engine import Engine, Outcome
from detection.folding import Messages
from detection.ledger import Versions
from detection.refusals import Problem
from detection.score_json import closing, read
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.model import Model
from ml.schema import Reason
from ml.scorers import serialization
from ml.thresholds.table import Table

FOLDER: Final = Path(__file__).parent / "recorded"
PIECE: Final = 700
"""Messages of a piece; of a micro-batch, in a job."""


class Message(msgspec.Struct, array_like=True, frozen=True):
    """One message of the log; kafka_time in ms. judged_by_table: by the table's thresholds, else by the model's own."""

    partition: int
    offset: int
    kafka_time: int
    key: bytes | None
    value: bytes | None
    judged_by_table: bool


class Judged(msgspec.Struct, frozen=True):
    """The judgement of a message; its features are the eight bytes of each float64, one after the other."""

    late: bool
    key_mismatch: bool
    order_undefined: bool
    features: bytes
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    reasons: list[Reason]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why a message is a dead letter."""

    reason: str
    folded: bool


class Numbers(msgspec.Struct, frozen=True):
    """What a model is made of besides its scorer."""

    threshold: float
    usual: list[list[float]]


class Came(msgspec.Struct, frozen=True):
    """What came of the log: of each message, in its order, and the states of all customers afterwards."""

    messages: "list[Judged | Refused]"
    states: bytes


class Stored(msgspec.Struct, frozen=True):
    """A `Came` by columns, which pack well. Of the dead letters the reasons; of the others all else, one after another."""

    refused: dict[int, tuple[str, bool]]
    features: bytes
    """(features, messages) float64."""
    numbers: bytes
    """(2, messages) float64: the scores, the thresholds."""
    flags: bytes
    """(4, messages) bool: late, key_mismatch, order_undefined, is_anomaly."""
    reasons: list[list[Reason]]
    states: bytes


def messages() -> list[Message]:
    """The recorded log, in its order."""
    return msgspec.msgpack.decode(_unpacked("messages"), type=list[Message])


def model() -> Model:
    """The model that judged it."""
    numbers = msgspec.json.decode((FOLDER / "model.json").read_bytes(), type=Numbers)
    scorer = serialization.read(FOLDER / "scorer.npz")
    return Model("recorded", 7, scorer, numbers.threshold, FEATURES, np.array(numbers.usual), digest="d1" * 32)


def table() -> Table:
    """The table of thresholds that judged a part of it."""
    return msgspec.json.decode((FOLDER / "table.json").read_bytes(), type=Table)


def recorded() -> Came:
    """What came of it when it was recorded."""
    stored = msgspec.msgpack.decode(_unpacked("judgements"), type=Stored)
    features = np.frombuffer(stored.features).reshape(len(FEATURES), -1)
    scores, thresholds = np.frombuffer(stored.numbers).reshape(2, -1).tolist()
    late, mismatch, undefined, anomalies = np.frombuffer(stored.flags, np.bool_).reshape(4, -1).tolist()
    reasons = iter(stored.reasons)
    judged = (
        Judged(
            late[k],
            mismatch[k],
            undefined[k],
            features[:, k].tobytes(),
            scores[k],
            thresholds[k],
            anomalies[k],
            next(reasons) if anomalies[k] else [],
        )
        for k in range(features.shape[1])
    )
    n = features.shape[1] + len(stored.refused)
    return Came([Refused(*stored.refused[k]) if k in stored.refused else next(judged) for k in range(n)], stored.states)


def write(outcome: Came) -> None:
    """Record what came of the log."""
    judged = [one for one in outcome.messages if isinstance(one, Judged)]
    stored = Stored(
        {k: (one.reason, one.folded) for k, one in enumerate(outcome.messages) if isinstance(one, Refused)},
        np.frombuffer(b"".join(one.features for one in judged)).reshape(-1, len(FEATURES)).T.tobytes(),
        np.array([[one.anomaly_score, one.threshold] for one in judged]).T.tobytes(),
        np.array([[o.late, o.key_mismatch, o.order_undefined, o.is_anomaly] for o in judged], np.bool_).T.tobytes(),
        [one.reasons for one in judged if one.is_anomaly],
        outcome.states,
    )
    pack("judgements", msgspec.msgpack.encode(stored))


def pack(name: str, content: bytes) -> None:
    """Write a packed file."""
    (FOLDER / f"{name}.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def _unpacked(name: str) -> bytes:
    return lzma.decompress((FOLDER / f"{name}.xz").read_bytes())


def judged_now(log: Sequence[Message], model: Model, table: Table) -> Came:
    """What comes of a log by the code as it is, in pieces."""
    customers = Customers()
    engine = Engine(customers)
    out: list[Judged | Refused] = []
    for start in range(0, len(log), PIECE):
        out += _piece(log[start : start + PIECE], engine, model, table)
    return Came(out, customers.states.tobytes())


def _piece(log: Sequence[Message], engine: Engine, model: Model, table: Table) -> "list[Judged | Refused]":
    found: list[Judged | Refused] = []
    for by_table, some in groupby(log, lambda message: message.judged_by_table):
        decision = Decision.from_table(Versions(7), model, table if by_table else None)
        outcomes = engine.work(taken(list(some)), decision, closing("spark", 0, 0))
        found += [_judged(outcome) for outcome in outcomes]
    return found


def taken(log: Sequence[Message]) -> Messages:
    """Messages of the log as the engine takes them."""
    return Messages(
        [m.value for m in log],
        [m.key for m in log],
        [m.kafka_time for m in log],
        [m.partition for m in log],
        [m.offset for m in log],
    )


def _judged(outcome: Outcome) -> "Judged | Refused":
    if isinstance(outcome, Problem):
        assert "an error of Scoreline's own" not in outcome.reason, outcome
        return Refused(outcome.reason, outcome.folded)
    score = read(outcome.value)
    features = np.array(score.features)
    assert outcome.is_anomaly == score.is_anomaly
    of_fold = score.late, score.key_mismatch, score.order_undefined, features.tobytes()
    return Judged(*of_fold, score.anomaly_score, score.threshold, score.is_anomaly, score.reasons)


def main() -> None:
    now, then = judged_now(messages(), model(), table()), recorded()
    different = [k for k, pair in enumerate(zip(now.messages, then.messages, strict=True)) if pair[0] != pair[1]]
    print(
        f"{len(then.messages):,} messages, {len(different)} judged otherwise; states equal: {now.states == then.states}"
    )


if __name__ == "__main__":
    main()
