"""What a training is to make: which detector, within which alert budget."""

from pathlib import Path
from typing import NamedTuple

from ml.dataset.history import HistoryError
from ml.dataset.labels import LABELS_FILE, Labels
from ml.detectors import DEFAULT, DETECTORS
from ml.thresholds.budget import DEFAULT_BUDGET


class Policy(NamedTuple):
    """The registered name, the detector (a name in DETECTORS), the alert budget, the seed of every random choice.

    trials: how many sets of hyper-parameters to try; with 0 the detector's own are taken. profiles: whether the model sees
    profile features, and with them what labels said of other transactions, whichever detector it is.
    """

    name: str
    detector: str = DEFAULT
    budget: float = DEFAULT_BUDGET
    seed: int = 0
    trials: int = 0
    profiles: bool = False

    @property
    def needs_labels(self) -> bool:
        """Whether labels are required: the detector learns from them, or a search judges by them."""
        return bool(self.trials) or (self.detector in DETECTORS and DETECTORS[self.detector].needs_labels)


def labels_for(policy: Policy, history: Path) -> Labels | None:
    """The labels beside a history (file or folder), where the policy needs them. Raises `HistoryError` where they lack.

    Profiles take them where they are there.
    """
    file = (history if history.is_dir() else history.parent) / LABELS_FILE
    if not (policy.needs_labels or (policy.profiles and file.exists())):
        return None
    if not file.exists():
        raise HistoryError(
            f"this detector learns from labels, which have to lie in {file}, but there is no such file: "
            "`python -m generator history` writes one; isolation_forest needs none"
        )
    return Labels.read(file, with_customers=False)
