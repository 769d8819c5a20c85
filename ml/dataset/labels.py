"""The labels that had arrived by a moment: which transactions were known to be fraud then."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.dataset.history import HistoryError

FILE: Final = "labels.parquet"
_TYPES: Final[dict[str, pa.DataType]] = {
    "transaction_id": pa.string(),
    "is_fraud": pa.bool_(),
    "label_time": pa.timestamp("ms", tz="UTC"),
}
_COLUMNS: Final = list(_TYPES)


@dataclass(frozen=True)
class Labels:
    """All labels of a history: the columns transaction_id, is_fraud and label_time, in order of label_time."""

    table: pa.Table

    @classmethod
    def beside(cls, history: Path) -> Self:
        """The labels in a history's folder, or beside its file.

        Raises `HistoryError` where there are none, or where the file is not one of labels.
        """
        file = (history if history.is_dir() else history.parent) / FILE
        if not file.exists():
            raise HistoryError(
                f"this detector learns from labels, which have to lie in {file}, but there is no such file: "
                "`python -m generator history` writes one; isolation_forest needs none"
            )
        try:
            table = pq.read_table(file)
            lacking = [name for name in _COLUMNS if name not in table.schema.names]
            if lacking:
                raise HistoryError(f"{file} lacks the column {', '.join(lacking)}; labels have {', '.join(_COLUMNS)}")
            table = table.select(_COLUMNS).cast(pa.schema(_TYPES))
        except (pa.ArrowException, OSError) as error:
            raise HistoryError(f"{file} is not a readable Parquet file of labels: {error}") from error
        return cls(table.sort_by("label_time"))

    def known_frauds(self, transaction_ids: "pa.ChunkedArray[pa.StringScalar]", by: datetime) -> npt.NDArray[np.bool_]:
        """Which of the transactions (n,) were known to be fraud at a moment: of several labels the last one counts."""
        arrived = self.table.filter(pc.field("label_time") <= pa.scalar(by, pa.timestamp("ms", tz="UTC")))
        verdicts = dict(zip(arrived["transaction_id"].to_pylist(), arrived["is_fraud"].to_pylist(), strict=True))
        frauds = pa.array([name for name, is_fraud in verdicts.items() if is_fraud], pa.string())
        return np.asarray(pc.is_in(transaction_ids, value_set=frauds).to_numpy(zero_copy_only=False), np.bool_)
