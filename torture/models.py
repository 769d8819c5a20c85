"""Two models of the torture's own traffic, to be promoted in turn."""

import time
from dataclasses import replace
from typing import Final

import numpy as np

from ml import features, model
from ml.detectors import DETECTORS
from ml.features import FEATURES
from ml.features.customers import Customers, identify
from ml.features.events import events
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.thresholds.budget import threshold_for_budget
from torture.traffic import Payments

PAYMENTS: Final = 60_000
MINUTES: Final = 3.0
BUDGETS: Final = (0.02, 0.05)


def register_two(registry: ModelStore, seed: int) -> None:
    """Train both, register them as versions 1 and 2, and make the first the champion."""
    rows = _features(seed)
    for budget in BUDGETS:
        scorer = DETECTORS["isolation_forest"].fit(rows, np.zeros(len(rows), np.bool_), round(budget * 100) + seed)
        unjudged = Model(registry.name, 0, scorer, 0.5, FEATURES, model.usual_ranges(rows), budget)
        threshold = threshold_for_budget(unjudged.anomaly_score(rows), budget)
        registry.register(replace(unjudged, threshold=threshold), rows)
    registry.promote(1)


def _features(seed: int) -> np.ndarray:
    payments, now = Payments(seed), int(time.time() * 1000)
    past = [payments.next(now + k, MINUTES * k / PAYMENTS) for k in range(PAYMENTS)]  # as dense as the feed
    customers = Customers()
    slots = customers.locate(identify([payment.customer_id for payment in past]))
    return features.fold(customers.states, slots, events(past, np.full(len(past), features.HISTORY))).features
