"""What an earlier version folded, kept as it was written then, is refused in words that name what builds it again."""

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.checkpoint_settings import FrozenSettingsDiffer, hold_frozen
from jobs.initial_state import initial_state
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.features import CUSTOMER, FEATURES, FOLD_VERSION
from ml.features.currencies import default_rates
from ml.features.customers import CustomerTable
from ml.registry import serialization
from ml.registry.model_store import ModelRefused
from settings import Settings
from tests.integration.traffic import events_of, traffic

EARLIER: Final = Path(__file__).parents[1] / "data" / "fold_version_1"


def test_an_earlier_initial_state_is_refused(spark: SparkSession) -> None:
    with pytest.raises(Fatal, match=r"fold version 1, and this version folds by 2.*make train"):
        initial_state(spark, Settings(initial_state=str(EARLIER / "customers.parquet")))


def test_an_earlier_checkpoint_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    shutil.copy(EARLIER / "frozen.json", tmp_path / "frozen.json")
    with pytest.raises(
        FrozenSettingsDiffer, match=r"fold version 1, .* by 2.*another --checkpoint.*--starting-offsets earliest"
    ):
        hold_frozen(Settings(), DurableFolder(spark, str(tmp_path)))


def test_an_earlier_model_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"fold version 1, .* of 2.*make train"):
        serialization.read(EARLIER / "model", "scoreline", 1, FEATURES)


def test_todays_initial_state_is_taken(spark: SparkSession, tmp_path: Path) -> None:
    past, table = traffic(300, 5, 1), CustomerTable()
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    table.write(tmp_path / "customers.parquet")
    states = initial_state(spark, Settings(initial_state=str(tmp_path / "customers.parquet")))
    assert states is not None
    assert {len(row.state) for row in states.collect()} == {CUSTOMER.itemsize}


def test_an_initial_state_by_other_currency_rates_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    past, table, rates = traffic(300, 5, 1), CustomerTable(), default_rates().version
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    table.write(tmp_path / "customers.parquet", rates)
    given = Settings(initial_state=str(tmp_path / "customers.parquet"))
    assert initial_state(spark, given, rates) is not None
    for other in ("", "0123456789abcdef"):
        with pytest.raises(Fatal, match=rf"currency rates {rates}, .*{other or 'none'}: give `make train`"):
            initial_state(spark, given, other)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"customer_id": ["C1"], "state": [b"x" * 1000], "fold_version": [FOLD_VERSION]},
            "1 of its states have not the 1024",
        ),
        ({"customer_id": ["C1"], "state": pa.array([None], pa.binary()), "fold_version": [FOLD_VERSION]}, "is damaged"),
        (
            {"customer_id": ["C1", "C2"], "state": [b"x" * 1024] * 2, "fold_version": [FOLD_VERSION, 9]},
            "of fold version",
        ),
        ({"customer_id": ["C1"], "amount": [1.0]}, "must have the columns customer_id"),
    ],
)
def test_a_file_that_is_no_initial_state_is_refused(
    spark: SparkSession, tmp_path: Path, columns: dict[str, object], words: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "some.parquet")
    with pytest.raises(Fatal, match=words):
        initial_state(spark, Settings(initial_state=str(tmp_path / "some.parquet")))


@pytest.mark.parametrize("what", ["nothing there", "no Parquet file"])
def test_an_initial_state_that_cannot_be_read_is_refused(spark: SparkSession, tmp_path: Path, what: str) -> None:
    if what == "no Parquet file":
        (tmp_path / "some.parquet").write_text("customer_id,state\n")
    with pytest.raises(Fatal, match="can't be read"):
        initial_state(spark, Settings(initial_state=str(tmp_path / "some.parquet")))


def test_states_of_the_same_customer_are_the_same_bytes_whoever_else_is_there() -> None:
    past = traffic(300, 5, 1)
    table, alone = CustomerTable(), CustomerTable()
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    own = [t for t in past if t.customer_id == past[0].customer_id]
    alone.fold(pa.array([t.customer_id for t in own]), events_of(own))
    assert np.array_equal(alone.states[0], table.states[0])
