"""Whether a model on trial says of live traffic what it says here: its scores on records, and those of the same numbers."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from ml.arrays import Floats
from ml.features import FEATURE_SET, FEATURES
from ml.features.available import Numbers, columns
from ml.features.profile_schema import PROFILE_FEATURES
from ml.features.profiles import NEUTRAL
from ml.model import Model
from ml.registry.promotion_history import Check
from ml.schema import DIGEST_DIGITS, Score

LEAST: Final = 1_000
"""Live scores that say enough."""


def agreement(model: Model, scores: Sequence[Score], most: float, budget: float) -> Check:
    """The check of live scores on which a model stands as the challenger, or by which it judged; of others it says nothing.

    Live and offline scores are of the same numbers by the same function, so they have to be equal. most: how many times the
    budget it may alert.
    """
    live = [
        (score, said)
        for score in scores
        for said in [score.challenger or (score if score.champion is not None else None)]
        if said is not None and said.model_digest == model.digest[:DIGEST_DIGITS] and score.feature_set == FEATURE_SET
    ]
    if len(live) < LEAST:
        return Check(
            "shadow", None, f"{len(live):,} live scores of version {model.version} are too few: at least {LEAST:,}"
        )
    offline = model.anomaly_score(model.known(_seen(model, [score for score, _ in live])))
    differ = int((offline != np.array([said.anomaly_score for _, said in live])).sum())
    verdicts = np.array([said.is_anomaly for _, said in live])
    share = float(verdicts.mean())
    figures = (
        f"{len(live):,} live scores, {differ:,} differ from offline; it alerts {share:.2%} of them, budget {budget:.2%}"
    )
    return Check("shadow", not differ and 0 < share <= most * budget, figures)


def _seen(model: Model, scores: Sequence[Score]) -> Floats:
    """What the model sees of some scores: (n, len(model.features))."""
    neutral = [NEUTRAL] * len(PROFILE_FEATURES)
    sources = [
        Numbers(FEATURES, np.array([score.features for score in scores], np.float64)),
        Numbers(PROFILE_FEATURES, np.array([score.profile_features or neutral for score in scores], np.float64)),
    ]
    if model.extras:
        extras = [[_number(score, name) for name in model.extras] for score in scores]
        sources.append(Numbers(tuple(model.extras), np.array(extras, np.float64)))
    return columns(model.features, sources)


def _number(score: Score, name: str) -> float:
    value = (score.extras or {}).get(name)
    return np.nan if value is None else value
