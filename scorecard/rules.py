"""The scenarios' own one-line rules, judged as detectors are: each on its own scenario, with the whole alert budget."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.scenarios import SCENARIOS
from generator.scenarios.chargebacks import DAYS, chargebacks
from generator.scenarios.scenario import Columns
from ml.dataset.labels import NONE
from ml.dataset.transactions import Transactions
from ml.evaluation.data import Data
from ml.evaluation.judgement import JudgedPart
from ml.features import DAY, FEATURES
from ml.features.events import hashes
from ml.thresholds.budget import threshold_for_budget

_TEXTS = ("channel", "merchant_category", "device_id")
_CHARGEBACKS = {"merchant_chargebacks": "merchant_id", "category_chargebacks": "merchant_category"}


def rule_recalls(judged_part: JudgedPart, raw: pa.Table, budget: float) -> dict[str, float]:
    """Of each scenario in the part, the share of its frauds that its rule alerts; raw: from `raw_columns`.

    As for a detector, a rule's threshold is the score that keeps to the budget in the gap part.
    """
    gap, test = (_columns(raw, part) for part in (judged_part.data.gap, judged_part.test))
    numbers = {name: number for number, name in enumerate(judged_part.data.outline.knowledge.truth.scenarios)}
    recalls: dict[str, float] = {}
    for scenario in SCENARIOS:
        rows = judged_part.frauds.row[judged_part.frauds.scenario == numbers.get(scenario.name)]
        if len(rows):
            threshold = max(0.0, threshold_for_budget(scenario.rule(gap), budget))
            recalls[scenario.name] = float((scenario.rule(test)[rows] > threshold).mean())
    return recalls


def raw_columns(data: Data) -> pa.Table:
    """What rules look at and features do not hold, of the transactions from the gap part on, read from the history."""
    gap_start, kind = data.split.gap_start, pa.timestamp("ms", tz="UTC")
    names = ["transaction_id", "amount", "event_time", "merchant_id", *_TEXTS]
    since = pa.scalar(gap_start - (DAYS + 1) * DAY, kind)
    raw = pa.concat_tables(
        piece.filter(pc.field("event_time") >= since).select(names) for piece in data.outline.history.pieces()
    )
    labels = data.outline.knowledge.labels
    ids = hashes(raw["transaction_id"])
    known = np.where(labels.fraud_of(ids), np.append(labels.time, NONE)[labels.rows_of(ids)] // DAY, NONE)
    day = raw["event_time"].cast(pa.int64()).to_numpy() // DAY
    for name, column in _CHARGEBACKS.items():
        key = np.unique([text or "" for text in raw[column].to_pylist()], return_inverse=True)[1]
        raw = raw.append_column(name, pa.array(chargebacks(key, day, known)))
    return raw.filter(pc.field("event_time") >= pa.scalar(gap_start, kind))


def _columns(raw: pa.Table, part: Transactions) -> Columns:
    ids = hashes(raw["transaction_id"])
    order = np.argsort(ids, kind="stable")
    own = raw.take(order[np.searchsorted(ids, part.transaction, sorter=order)])
    texts = {name: np.array([text or "" for text in own[name].to_pylist()]) for name in _TEXTS}
    others = {name: own[name].to_numpy() for name in ("amount", *_CHARGEBACKS)}
    return dict(zip(FEATURES, part.features.T, strict=True)) | texts | others
