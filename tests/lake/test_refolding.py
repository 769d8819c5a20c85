"""The fold over the lake's transactions gives the features that were scored, and what differs is named."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lake.__main__ import app
from lake.place import Place
from lake.refolding import StatesUnusable, refold, take_in
from ml.features import FOLD_VERSION, fold, position
from ml.features.currencies import Rates, default_rates, keep_roundness
from ml.features.customers import Customers, CustomerTable, identify
from ml.features.events import events
from ml.schema import Transaction
from tests.integration.traffic import events_of, traffic
from tests.lake.test_lake import put_scores, score

RATES = default_rates()


def sent() -> list[Transaction]:
    """Of two partitions and micro-batches of 100; some amounts in another currency, some times with microseconds."""
    return [
        msgspec.structs.replace(
            one,
            currency=(None, "EUR", "PLN", "QQQ")[number % 4],
            event_time=one.event_time + timedelta(microseconds=number % 3),
        )
        for number, one in enumerate(traffic(700, customers=30, seed=3))
    ]


def scored(transactions: list[Transaction], customers: Customers) -> list[bytes]:
    """The scores of transactions that detection took in micro-batch by micro-batch, in no order."""
    batch = np.arange(len(transactions)) // 100
    partition = np.array([int(one.customer_id[1:]) % 2 for one in transactions])
    offset = np.array([np.count_nonzero(partition[:n] == partition[n]) for n in range(len(transactions))])
    order = np.lexsort((offset, partition, batch))
    taken = [transactions[row] for row in order]
    found = events(taken, position(partition[order], offset[order]), RATES)
    rows = customers.locate(identify([one.customer_id for one in taken]))
    features = fold(customers.states, rows, found).features
    keep_roundness(features, found["amount"], np.array([one.amount for one in taken]))
    values = [
        score(
            0,
            **msgspec.to_builtins(one),
            partition=int(partition[row]),
            offset=int(offset[row]),
            micro_batch=int(batch[row]),
            features=features[k].tolist(),
            currency_version=RATES.version,
            fold_version=FOLD_VERSION,
        )
        for k, (row, one) in enumerate(zip(order, taken, strict=True))
    ]
    return [values[k] for k in np.random.default_rng(1).permutation(len(values))]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "lake"))


def test_the_features_of_the_lake_are_those_of_a_fold_over_its_transactions(place: Place) -> None:
    put_scores(place, scored(sent(), Customers()))
    assert refold(place, RATES, Customers()) == (700, 0, [], 0)


def test_a_feature_that_differs_in_one_bit_is_named_with_its_record(place: Place) -> None:
    values = scored(sent(), Customers())
    changed = json.loads(values[5])
    changed["features"][3] = float(np.nextafter(changed["features"][3], np.inf))
    put_scores(place, [*values[:5], json.dumps(changed).encode(), *values[6:]])
    found = refold(place, RATES, Customers())
    assert (found.different, found.examples) == (1, [f"/{changed['partition']}/{changed['offset']}"])


def test_what_other_rates_or_another_fold_made_is_left_out(place: Place) -> None:
    put_scores(
        place,
        [
            *scored(sent(), Customers()),
            score(9, currency_version="", fold_version=FOLD_VERSION),
            score(8, fold_version=1),
        ],
    )
    assert refold(place, RATES, Customers()) == (700, 0, [], 2)
    assert refold(place, Rates("EUR", "2026-01-01", "a test", {}), Customers()).left_out == 702


def test_the_command_begins_with_the_states_that_the_job_was_given(place: Place, tmp_path: Path) -> None:
    table, past = CustomerTable(), traffic(300, customers=30, seed=4)
    table.fold(pa.array([one.customer_id for one in past]), events_of(past))
    states = tmp_path / "states.parquet"
    table.write(states, RATES.version)
    customers = Customers()
    take_in(states, customers)
    put_scores(place, scored(sent(), customers))
    with_states = CliRunner().invoke(app, ["verify", "--lake", place.uri, "--initial-state", str(states)])
    assert (with_states.exit_code, with_states.stdout) == (
        0,
        "700 transactions were folded again: 0 have other features than were scored.\n",
    )
    without = CliRunner().invoke(app, ["verify", "--lake", place.uri])
    assert without.exit_code == 1
    (tmp_path / "none").write_bytes(b"none")
    with pytest.raises(StatesUnusable, match="can't be read"):
        take_in(tmp_path / "none", Customers())
