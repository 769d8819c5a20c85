"""The state that a first start takes in: of this log, of this meaning, and folded by these rates."""

from pathlib import Path

import pyarrow as pa
import pytest

from ml.features.customers import Customers, CustomerTable
from serving import initial_state
from serving.errors import StateRefused
from serving.log import Log
from tests.integration.traffic import events_of, traffic

LOG = Log("transactions", "id", {0: 0}, {0: 0}, 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of five customers, folded by the rates of May."""
    past, table = traffic(300, 5, 1), CustomerTable()
    table.fold(pa.array([each.customer_id for each in past]), events_of(past))
    table.write(tmp_path / "customers.parquet", "of-may")
    return tmp_path / "customers.parquet"


def test_a_trainings_state_is_taken_in_and_names_no_place(file: Path) -> None:
    customers = Customers()
    assert initial_state.load(file, customers, LOG, "of-may") is None
    assert customers.count == 5


def test_a_state_by_other_currency_rates_is_refused(file: Path) -> None:
    with pytest.raises(StateRefused, match=r"rates of-may, and this service folds by of-june.*--currency-rates"):
        initial_state.load(file, Customers(), LOG, "of-june")


def test_what_is_no_state_is_refused_in_words(file: Path) -> None:
    file.write_bytes(b"no parquet")
    with pytest.raises(StateRefused, match="can't be read"):
        initial_state.load(file, Customers(), LOG, "of-may")
