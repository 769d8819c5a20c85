"""Loads the compiled code of all scorers, for a process whose children inherit it."""

import numpy as np

from ml.scorers.isolation import IsolationScore
from ml.scorers.trees import Trees


def warm_up() -> None:
    """Call each compiled function once. It takes a fraction of a second, or seconds where nothing is compiled yet."""
    leaf = np.array([[1.0, 2.0]])
    scorer = IsolationScore(Trees(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32), leaf, 1), 1.0)
    rows = np.ones((1, 1))
    scorer.anomaly_score(rows)
    scorer.anomaly_score_one(rows[0])
    scorer.contributions(rows, -rows[0])
