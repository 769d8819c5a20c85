"""What every detector is before it has been fitted."""

from typing import TYPE_CHECKING, Protocol, Self

from ml.arrays import Flags, Floats
from ml.scorers.scorer import Scorer

if TYPE_CHECKING:
    import optuna


class TooFewRows(ValueError):
    """There are too few rows to fit a detector to; the text says what is required and what came."""


class Detector(Protocol):
    """A way to learn what is fraud, or what is strange, with its hyper-parameters as a frozen dataclass."""

    @property
    def name(self) -> str:
        """What `--detector` calls it."""
        ...

    @property
    def needs_labels(self) -> bool:
        """Whether `fit` looks at `is_fraud`."""
        ...

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> Scorer:
        """Fit to features (n, F) and is_fraud (n,), rows in time order; the same rows and seed give the same scorer.

        is_fraud: what the labels said that had arrived by the time of training. A row without a label is honest: a bank
        learns only of fraud, and most rows never get a label. So late labels make some frauds look honest; among older
        rows they are few, and of recent ones `ml.detectors.recent` leaves them out. The probabilities are scaled down by the
        share that is still missing. Detectors that are calibrated keep the last rows for it. Raises `TooFewRows`.
        """
        ...

    def suggested(self, trial: "optuna.Trial") -> Self:
        """This detector with the hyper-parameters that a trial of a search suggests."""
        ...
