"""A simulated bank for pictures of the page: real judgements of days that the model had not seen, without Spark or Kafka."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds

from detection.decision import Decision
from detection.engine import Engine, Scored
from detection.folding import Messages
from detection.ranges import Versions
from detection.score_json import closing, read
from ml.detectors.isolation_forest import IsolationForest
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.model import Model, usual_ranges
from ml.schema import Score, Transaction
from ml.thresholds.budget import threshold_for_budget

SEED: Final = 101
DAYS: Final = 24
LEARNT_DAYS: Final = 21
_CUSTOMERS: Final = 800
_BUDGET: Final = 0.01
_PIECE: Final = 5_000


class Bank(NamedTuple):
    """scores: of the days after those that the model learnt, in the order of time; frauds: ids, as the simulator knows them."""

    scores: list[Score]
    frauds: frozenset[str]


def bank(folder: Path) -> Bank:
    """Simulates, trains a forest on the first days, and judges the others. It takes some 20 s."""
    command = ["-m", "generator", "history", "--out", str(folder), "--seed", str(SEED)]
    sizes = ["--customers", str(_CUSTOMERS), "--days", str(DAYS)]
    subprocess.run([sys.executable, *command, *sizes], check=True, capture_output=True)
    found = ds.dataset(sorted(folder.glob("transactions*.parquet"))).to_table().to_pylist()
    truth = ds.dataset(sorted(folder.glob("truth*.parquet"))).to_table()
    frauds = frozenset(truth.filter(pc.field("is_fraud"))["transaction_id"].to_pylist())
    known = set(Transaction.__struct_fields__)
    transactions = [Transaction(**{name: value for name, value in row.items() if name in known}) for row in found]
    cut = transactions[-1].event_time - timedelta(days=DAYS - LEARNT_DAYS)
    learnt = sum(one.event_time < cut for one in transactions)
    engine, blind = Engine(Customers()), _blind()
    past = _judged(engine, transactions[:learnt], 0, blind)
    features = np.array([one.features for one in past])
    scorer = IsolationForest(100).fit(features, np.zeros(len(features), np.bool_), SEED)
    model = Model("scoreline", 1, scorer, 0.5, FEATURES, usual_ranges(features), _BUDGET)
    model = replace(model, threshold=threshold_for_budget(model.anomaly_score(features), _BUDGET))
    return Bank(_judged(engine, transactions[learnt:], learnt, model), frauds)


def _blind() -> Model:
    """Before there is a model, features alone matter."""
    noise = np.random.default_rng(SEED).normal(size=(300, len(FEATURES)))
    scorer = IsolationForest(2).fit(noise, np.zeros(len(noise), np.bool_), SEED)
    return Model("none", 0, scorer, 2.0, FEATURES, usual_ranges(noise), _BUDGET)


def _judged(engine: Engine, transactions: list[Transaction], first: int, model: Model) -> list[Score]:
    decision = Decision.from_table(Versions(model.version, 0, model.name, "0" * 16), model, None)
    out = []
    for start in range(0, len(transactions), _PIECE):
        some = transactions[start : start + _PIECE]
        times = [round(one.event_time.timestamp() * 1000) for one in some]
        messages = Messages(
            [msgspec.json.encode(one) for one in some],
            [one.customer_id.encode() for one in some],
            times,
            [0] * len(some),
            list(range(first + start, first + start + len(some))),
        )
        end = closing("spark", 0, times[-1])
        out += [read(one.value) for one in engine.work(messages, decision, end) if isinstance(one, Scored)]
    return out
