"""The champion in the form that peers take: the same forest as a scikit-learn pipeline."""

import joblib
import numpy as np
import pandas as pd
from rich.progress import Progress
from sklearn.ensemble import IsolationForest as Forest
from sklearn.pipeline import Pipeline

from bench.errors import BenchError
from bench.inputs import Input
from ml.console import Bars
from ml.dataset.history import History
from ml.dataset.split import chosen_rows, training_cuts
from ml.dataset.transactions import fold_history
from ml.detectors.isolation_forest import IsolationForest
from ml.features import FEATURES
from ml.features.currencies import default_rates
from ml.features.customers import CustomerTable
from ml.registry.model_store import ModelStore

SEED = 0
"""What `python -m ml train` takes by default."""

_TOLERANCE = 1e-6
_CHECKED_ROWS = 1_000


def write_peer_model(made: Input, progress: Progress) -> None:
    """Fits scikit-learn's forest as the training did: same rows, same seed. Raises BenchError where it scores otherwise.

    Writes joblib of {"pipeline", "threshold", "features"}.
    """
    registry = ModelStore(made.registry_uri, "scoreline", "champion")
    champion = registry.load(registry.champion())
    history = History.open(made.history, default_rates())
    chosen = chosen_rows(training_cuts(history.rows), SEED)
    folded = fold_history(history, chosen, CustomerTable(), progress=Bars(progress))
    rows, detector = folded.parts["fit"].features, IsolationForest()
    forest = Forest(n_estimators=detector.trees, max_samples=min(detector.rows_per_tree, len(rows)), random_state=SEED)
    table = pd.DataFrame(rows, columns=list(FEATURES))
    pipeline = Pipeline([("forest", forest)]).fit(table)
    few = slice(_CHECKED_ROWS)
    apart = np.abs(champion.anomaly_score(rows[few]) + pipeline.score_samples(table[few])).max()
    if apart > _TOLERANCE:
        raise BenchError(
            f"the peers have to judge by the champion's forest, but scikit-learn's scores are up to {apart:.3g} apart: "
            "the training has changed, change bench/peer_model.py with it"
        )
    joblib.dump({"pipeline": pipeline, "threshold": champion.threshold, "features": list(FEATURES)}, made.model)
