"""Searches a detector's hyper-parameters on a split of the training rows in time."""

from typing import Final, NamedTuple

import optuna
from sklearn.metrics import average_precision_score

from ml.arrays import Flags, Floats
from ml.detectors import Detector, TooFewRows
from ml.progress import Progress, silent

VALIDATION_SHARE: Final = 0.3
LEAST_FRAUDS: Final = 10


class Found(NamedTuple):
    """What a search found: the detector, and the average precision that it had on the validation part."""

    detector: Detector
    average_precision: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """What there is to log of the search."""
        return {} if self.average_precision is None else {"average_precision_search": self.average_precision}


def search(
    detector: Detector, features: Floats, is_fraud: Flags, trials: int, seed: int, progress: Progress = silent
) -> Found:
    """The best of so many trials: fitted to the first 70 % of the rows, judged by average precision on the last 30 %.

    features (n, F), is_fraud (n,), rows in time order. The given detector is the first trial: no search ends
    with a worse one. The sampler is Optuna's tree-structured Parzen estimator (J. Bergstra et al., NeurIPS 2011); nothing is
    stored. Without trials the detector stays as it is. Raises `TooFewRows` where a part has too few frauds.
    """
    if not trials:
        return Found(detector, None)
    cut = round((1 - VALIDATION_SHARE) * len(features))
    if is_fraud[cut:].sum() < LEAST_FRAUDS:
        raise TooFewRows(
            f"a search needs at least {LEAST_FRAUDS} known frauds in the last {VALIDATION_SHARE:.0%} of its rows, not "
            f"{is_fraud[cut:].sum()}: take a longer history, or wait for labels"
        )

    def precision_of(candidate: Detector) -> float:
        scores = candidate.fit(features[:cut], is_fraud[:cut], seed).anomaly_score(features[cut:])
        return float(average_precision_score(is_fraud[cut:], scores))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    stage = f"searching {detector.name}"
    progress(stage, 0, trials + 1)
    best, reached = detector, precision_of(detector)
    progress(stage, 1, trials + 1)

    def objective(trial: optuna.Trial) -> float:
        nonlocal best, reached
        candidate = detector.suggested(trial)
        precision = precision_of(candidate)
        if precision > reached:
            best, reached = candidate, precision
        progress(stage, trial.number + 2, trials + 1, f"(best {reached:.3f})")
        return precision

    study.optimize(objective, n_trials=trials)
    return Found(best, reached)
