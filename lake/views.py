"""The lake by SQL: DuckDB, with the views that the trade knows: transactions, predictions, labels, training_data."""

from datetime import datetime
from typing import Final

import duckdb
import pyarrow.dataset as ds

from lake.commits import all_rows
from lake.maintenance import tables
from lake.place import LakeUnusable, Place
from lake.rows import LABEL_ROW, LABELS, SCORE_ROW, SCORES
from ml.features import FEATURE_SET, FEATURES
from ml.schema import LABEL_SOURCES, TRANSACTION_FIELDS

_PLACE: Final = ("topic_id", '"partition"', '"offset"', "kafka_time")
_OTHER_SOURCE: Final = len(LABEL_SOURCES)

# Who labels, in the order in which they count; all others are one source, as `ml.label_rule` has it.
_RANK: Final = f"coalesce(list_position({list(LABEL_SOURCES)}, source) - 1, {_OTHER_SOURCE})"


def connect(
    place: Place, known_by: datetime | None = None, scores: ds.Dataset | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection to a database in memory that has the lake's views. known_by: labels from after then are left out.

    `scores` and `label_log` are the tables themselves; a table that is not there yet is empty. scores: some rows of the
    table, which the views are then of, instead of all. Raises LakeUnusable where the tables are not a lake's.
    """
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    found = tables(place)
    for name, view, schema in ((SCORES, "scores", SCORE_ROW), (LABELS, "label_log", LABEL_ROW)):
        rows = all_rows(found[name], schema) if name in found else schema.empty_table()
        connection.register(view, scores if name == SCORES and scores is not None else rows)
    _create_views(connection, place, known_by)
    return connection


def newest_of(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """The event time of the newest transaction; None where there is none."""
    found = connection.execute("select max(event_time) from scores").fetchone()
    return None if found is None else found[0]


def _create_views(connection: duckdb.DuckDBPyConnection, place: Place, known_by: datetime | None) -> None:
    by = "true" if known_by is None else f"label_time <= timestamptz '{known_by.isoformat()}'"
    try:
        for statement in (_LABELS.format(by=by), _KNOWN, _TRANSACTIONS, _PREDICTIONS, _training_data()):
            connection.execute(statement)
    except duckdb.Error as error:
        raise LakeUnusable(
            f"the tables in {place.uri} have other columns than a lake of this release has: "
            f"{str(error).splitlines()[0]}"
        ) from error


_LABELS: Final = f"""
    create view labels as
    select transaction_id, source, customer_id, is_fraud, label_time, scenario, campaign, {_RANK} as source_rank, day
    from label_log where {{by}}
    qualify row_number() over (
        partition by transaction_id, source_rank order by archived_at desc, "offset" desc
    ) = 1
"""
"""Of each transaction and source what it said last."""

_KNOWN: Final = """
    create view known as
    select transaction_id, is_fraud, label_time, source as label_source, scenario from labels
    where is_fraud is not null
    qualify row_number() over (partition by transaction_id order by source_rank) = 1
"""
"""Of each transaction the label that counts."""

_TRANSACTIONS: Final = f"""
    create view transactions as
    select day, {", ".join((*_PLACE, *TRANSACTION_FIELDS))}, late, key_mismatch, order_undefined, extras from scores
"""

_PREDICTIONS: Final = f"""
    create view predictions as
    select day, {", ".join(_PLACE)}, transaction_id, customer_id, event_time, anomaly_score, is_anomaly, threshold,
        model_name, model_version, model_digest, threshold_version, profile_version, micro_batch,
        to_timestamp(scored_at / 1000) as scored_at, reasons, named_features, challenger, champion
    from scores
"""


def _training_data() -> str:
    features = ", ".join(f'features[{number}] as "{name}"' for number, name in enumerate(FEATURES, 1))
    return f"""
        create view training_data as
        select day, {", ".join((*_PLACE, *TRANSACTION_FIELDS))}, {features}, is_fraud, label_time, label_source, scenario
        from scores left join known using (transaction_id)
        where feature_set = '{FEATURE_SET}'
    """
