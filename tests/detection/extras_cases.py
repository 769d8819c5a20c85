"""A declaration, a message without extras, and a model that judges by one, for tests."""

from dataclasses import replace

import numpy as np

from ml.arrays import Floats
from ml.features import FEATURES
from ml.features.declared import Extra
from ml.model import Model
from tests.detection import recorded_log

DECLARED = (
    Extra("account_age", 0, 36_500, "days since the account was opened"),
    Extra("device_risk", 0, 1, "risk of the device", unknown=0.5),
    Extra("V1", -1000, 1000, "a component"),
)
NOW = 1_772_438_401_000
"""ms since the epoch, a second after the event."""

WITHOUT = (
    b'{"transaction_id":"T1","event_time":"2026-03-02T08:00:00Z","customer_id":"C","amount":5,"currency":"EUR",'
    b'"merchant_id":"M","merchant_category":"fuel","country":"FR","latitude":1.5,"longitude":2.5,"channel":"chip",'
    b'"device_id":"D"}'
)


class ByTheLast:
    """Scores by the last column alone: 0 where it is -1000, 1 where it is 1000."""

    def anomaly_score(self, features: Floats) -> Floats:
        return np.clip((features[:, -1] + 1000) / 2000, 0.0, 1.0)

    def anomaly_score_one(self, row: Floats) -> float:
        return float(self.anomaly_score(row[None])[0])

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        parts = np.zeros_like(features)
        parts[:, -1] = (features[:, -1] - typical[-1]) / 2000
        return parts


def judges_by_extras() -> Model:
    """A model of all customer features and V1, which an unknown V1 is 0 for; above 50 it is an anomaly."""
    whole = recorded_log.model()
    usual = np.vstack([whole.usual, [[-100.0, 0.0, 100.0]]])
    return replace(
        whole, scorer=ByTheLast(), threshold=0.525, features=(*FEATURES, "V1"), usual=usual, extras={"V1": 0.0}
    )
