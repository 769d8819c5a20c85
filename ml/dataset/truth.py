"""What is true of a history's transactions, for judging alone, and what a bank learned of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ml.dataset.history import HistoryError
from ml.dataset.labels import LABELS_FILE, Labels

TRUTH_FILE: Final = "truth.parquet"


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The truth, to judge by, and the labels, to learn from; the same where a folder has one file of them."""

    truth: Labels
    labels: Labels

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From a history's folder. Raises `HistoryError` where neither file is there."""
        files = [folder / name for name in (TRUTH_FILE, LABELS_FILE) if (folder / name).is_file()]
        if not files:
            raise HistoryError(
                f"{folder} should hold {TRUTH_FILE} (or {LABELS_FILE}) to judge by, but neither is there; "
                "`python -m generator history` writes them, `python -m generator convert` too"
            )
        read = [Labels.read(file) for file in files]
        return cls(read[0], read[-1])
