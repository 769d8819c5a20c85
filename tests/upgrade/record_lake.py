"""Records a lake as a release writes it: run in a checkout of it, with its environment, `python record_lake.py ARCHIVE.tar.xz`.

The columns are those that the release declares (`lake/rows.py`): of 30 transactions on two days, with a label each.
"""

import json
import sys
import tarfile
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path.cwd()))

import pyarrow as pa
from deltalake import write_deltalake

from lake.rows import LABEL_ROW, LABELS, SCORE_ROW, SCORES
from ml.features import FEATURE_SET, FEATURES

N: Final = 30
START: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


def main(archive: Path) -> None:
    times = [START + timedelta(hours=number) for number in range(N)]
    challenger = {"model_name": "scoreline", "model_version": 2, "anomaly_score": 0.4, "is_anomaly": False}
    own = {
        "day": [time.date() for time in times],
        "topic_id": ["old"] * N,
        "partition": [0] * N,
        "offset": list(range(N)),
        "transaction_id": [f"old-{number}" for number in range(N)],
        "customer_id": [f"C{number % 7}" for number in range(N)],
    }
    scores = own | {
        "event_time": times,
        "kafka_time": [round(time.timestamp() * 1000) for time in times],
        "amount": [10.0 + number for number in range(N)],
        "anomaly_score": [0.3] * N,
        "is_anomaly": [number % 10 == 0 for number in range(N)],
        "threshold": [0.6] * N,
        "model_name": ["scoreline"] * N,
        "model_version": [1] * N,
        "feature_set": [FEATURE_SET] * N,
        "features": [[float(number)] * len(FEATURES) for number in range(N)],
        "challenger": [json.dumps(challenger)] * N,
    }
    labels = own | {
        "day": [date(2026, 3, 9)] * N,
        "archived_at": [1_773_000_000_000] * N,
        "is_fraud": [number % 3 == 0 for number in range(N)],
        "label_time": [time + timedelta(days=5) for time in times],
        "source": ["chargeback"] * N,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, schema, made in ((SCORES, SCORE_ROW, scores), (LABELS, LABEL_ROW, labels)):
            write_deltalake(f"{folder}/{name}", table(schema, made), partition_by=["day"])
        with tarfile.open(archive, "w:xz") as packed:
            packed.add(folder, ".")


def table(schema: pa.Schema, made: dict[str, Any]) -> pa.Table:
    columns = [
        pa.array(made[field.name]).cast(field.type) if field.name in made else pa.nulls(N, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
