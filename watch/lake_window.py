"""A window of the lake, written as a history that can be trained on and that the gate compares models on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake.place import Place
from lake.views import connect
from ml.dataset.labels import LABELS_FILE
from ml.dataset.split import WARM_UP_SHARE
from ml.features.events import milliseconds
from ml.schema import TRANSACTION_ARROW, TRANSACTION_FIELDS, Score

TRANSACTIONS_FILE: Final = "transactions.parquet"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LIVE = 20_000
_LABEL_COLUMNS = "transaction_id, customer_id, is_fraud, label_time, source"


def moment(milliseconds: int) -> datetime:
    """A time from its milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def write_window(place: Place, since: int, until: int, folder: Path) -> int:
    """Write the transactions of `since` ≤ event_time ≤ `until` (ms), in the order of time, with all labels beside them.

    Returns how many there are. Raises what the lake raises where it can't be read, and OSError.
    """
    columns = ", ".join(TRANSACTION_FIELDS)
    with connect(place) as connection:
        found = connection.execute(
            f"select {columns} from scores where event_time >= ? and event_time <= ? "
            'order by event_time, topic_id, "partition", "offset"',
            [moment(since), moment(until)],
        )
        rows = _copied(found, folder / TRANSACTIONS_FILE, TRANSACTION_ARROW)
        labels = connection.execute(
            f'select {_LABEL_COLUMNS} from label_log where label_time <= ? order by archived_at, "partition", "offset"',
            [moment(until)],
        )
        pq.write_table(labels.to_arrow_table(), folder / LABELS_FILE)
    return rows


def past_of(since: int, until: int) -> int:
    """Where to begin to read (ms) for days that models are compared on: they need the customers' past, as training has it.

    Without one everything is new to every customer, and every model alerts too much.
    """
    return since - round((until - since) * WARM_UP_SHARE / (1 - WARM_UP_SHARE))


def compared_from(folder: Path, since: int, until: int) -> int:
    """From when on (ms) a window's rows can be compared: `since`, or later where the lake does not reach back far enough."""
    times = pq.read_table(folder / TRANSACTIONS_FILE, columns=["event_time"])["event_time"]
    begin = milliseconds(times[0].as_py()) if len(times) else since
    return max(since, begin + round((until - begin) * WARM_UP_SHARE))


def _copied(found: duckdb.DuckDBPyConnection, file: Path, schema: pa.Schema) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in found.to_arrow_reader(100_000):
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
            rows += batch.num_rows
    return rows


def live_scores(place: Place, version: int) -> list[Score]:
    """The newest live scores of which a version on trial spoke, or which it judged in the champion's place."""
    with connect(place) as connection:
        found = connection.execute(
            "select * exclude (day) from scores where (challenger is not null and "
            "cast(json_extract(challenger, '$.model_version') as bigint) = $version) or "
            "(champion is not null and model_version = $version) "
            f"order by kafka_time desc limit {_MOST_LIVE}",
            {"version": version},
        )
        names = [column[0] for column in found.description or ()]
        return [_score(dict(zip(names, row, strict=True))) for row in found.fetchall()]


def _score(row: dict[str, Any]) -> Score:
    """A score of the lake as it stood on its topic, as far as the gate asks."""
    for name in ("challenger", "champion", "extras"):
        row[name] = None if row[name] is None else msgspec.json.decode(row[name])
    for name in ("reasons", "named_features", "topic_id"):
        del row[name]
    row = {name: value for name, value in row.items() if value is not None}
    return msgspec.convert(
        {"lane": "spark", "micro_batch": None, "order_undefined": False, **row, "schema_version": 2}, Score
    )
