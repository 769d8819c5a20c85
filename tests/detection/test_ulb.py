"""A model that uses the extras of a public data set: from its file, without Spark and Kafka, to alerts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq

from generator.records import records
from generator.replay.convert import Converter
from generator.replay.fit import extra_columns
from generator.replay.mapping import load_mapping
from generator.replay.rejects import Rejects
from generator.replay.stream import DataSet
from generator.stream import Batch
from generator.tables import LABEL_ARROW
from ml.features import FEATURES
from ml.features.events import hash_id
from ml.registry.model_store import ModelStore
from ml.schema import TRANSACTION_FIELDS
from tests.detection.ulb_cases import (
    DECLARATION,
    NUMBERS,
    as_evaluation_says,
    as_the_engine_says,
    odd_messages,
    ulb_file,
)
from tests.generator.replay_data import PROMPT
from tests.ml.conftest import Run, empty_database, registry, run

__all__ = ["empty_database", "registry", "run"]


def replayed(data: DataSet, folder: Path) -> list[tuple[bytes, bytes]]:
    """(key, value) of each message that a replay sends."""
    sent, empty = [], LABEL_ARROW.empty_table()
    with Rejects(folder / "rejects.jsonl") as rejects:
        for piece in data.pieces(rejects):
            batch = Batch(piece.table.select(list(TRANSACTION_FIELDS)), empty, empty)
            made = records(batch, extra_columns(piece.table, data.mapping))
            sent += zip(made.keys, made.values, strict=True)
    return sent


def test_the_engine_judges_a_data_set_with_extras_as_evaluation_does_and_finds_the_fraud_that_they_show(
    registry: ModelStore, run: Run, tmp_path: Path
) -> None:
    data, history = DataSet(ulb_file(tmp_path), load_mapping("ulb")), tmp_path / "history"
    Converter(data, history, PROMPT).run()
    declared = ("--extras-file", str(DECLARATION))
    status, _, err = run(
        "train", str(history), "--detector", "random_forest", "--budget", "0.04", "--promote", *declared
    )
    assert status == 0, err
    live = replace(registry, extras=NUMBERS)
    model = live.load(live.champion())
    assert model.features == (*FEATURES, *NUMBERS)

    log = [*replayed(DataSet(data.file, data.mapping), tmp_path), *odd_messages()]
    said = as_the_engine_says(
        [
            SimpleNamespace(partition=0, offset=k, timestamp=1_800_000_000_000, key=key, value=value)
            for k, (key, value) in enumerate(log)
        ],
        model,
    )
    assert len(said) == len(log) == 5_002
    assert as_evaluation_says(history, model) <= {
        (hash_id(score["transaction_id"]), score["anomaly_score"]) for score in said.values()
    }
    frauds = set(pq.read_table(history / "truth.parquet")["transaction_id"].to_pylist())
    alerts = [score for score in said.values() if score["is_anomaly"]]
    found = [score for score in alerts if score["transaction_id"] in frauds]
    assert len(found) > 0.7 * len(frauds) > 100
    assert all({"V14", "V17"} & {reason["feature"] for reason in score["reasons"]} for score in found)
    assert said[0, 5_000]["refused_extras"] == {"V1": 'it must be a number from -200 to 200, but is "high"'}
