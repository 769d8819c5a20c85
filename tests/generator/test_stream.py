"""The stream: honest and fraudulent transactions together, in the order of simulated time."""

import itertools
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.arrays import Array
from generator.population import Population, make_population
from generator.runs import Run
from generator.scenarios import SCENARIOS
from generator.stream import transactions
from generator.tables import LABEL_ARROW
from ml.features import FEATURES
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.schema import TRANSACTION_ARROW, Label
from tests.generator.conftest import MONDAY, Weeks

MUCH = Run(fraud_share=0.05)
SMALL = make_population(seed=11, customers=150)


def stream(start: datetime, end: datetime, run: Run = MUCH) -> tuple[pa.Table, pa.Table, pa.Table]:
    """All transactions, their truth and their labels, of the small bank from start to the full hour `end`."""
    hours = int(np.ceil((end - start) / timedelta(hours=1)))
    batches = itertools.islice(transactions(SMALL, start, run), hours)
    made, truth, labels = (pa.concat_tables(tables) for tables in zip(*batches, strict=True))
    return made, truth, labels


@given(minutes=st.integers(0, 60 * 60))
@settings(max_examples=15, deadline=None)
def test_a_stream_that_begins_later_agrees_with_one_that_began_before(minutes: int) -> None:
    start, end = MONDAY + timedelta(minutes=minutes), MONDAY + timedelta(hours=62)
    whole, whole_truth, whole_labels = stream(MONDAY, end)
    late, late_truth, late_labels = stream(start, end)
    begun = pa.scalar(start, pa.timestamp("ms", tz="UTC"))
    assert late.equals(whole.filter(pc.greater_equal(whole["event_time"], begun)))
    assert late_truth.equals(whole_truth.filter(pc.greater_equal(whole_truth["label_time"], begun)))
    of_late = pc.is_in(whole_labels["transaction_id"], value_set=late["transaction_id"].combine_chunks())
    assert late_labels.equals(whole_labels.filter(of_late))


def test_the_tables_have_the_shared_schemas(weeks: Weeks) -> None:
    assert weeks.transactions.schema.equals(TRANSACTION_ARROW)
    assert weeks.truth.schema.equals(LABEL_ARROW)
    assert LABEL_ARROW.names == list(Label.__struct_fields__)
    weeks.transactions.validate(full=True)


def test_transactions_come_in_order_of_time(weeks: Weeks) -> None:
    times = weeks.transactions["event_time"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()


def test_transaction_ids_are_unique(weeks: Weeks) -> None:
    assert pc.count_distinct(weeks.transactions["transaction_id"]).as_py() == len(weeks.transactions)


def test_every_label_refers_to_a_transaction_of_its_customer(weeks: Weeks) -> None:
    assert len(weeks.truth) > 0
    for batch in weeks.batches:
        rows = pc.index_in(batch.truth["transaction_id"], value_set=batch.transactions["transaction_id"])
        assert rows.null_count == 0
        labelled = batch.transactions.take(rows.combine_chunks())
        assert labelled["customer_id"].equals(batch.truth["customer_id"])
        assert labelled["event_time"].equals(batch.truth["label_time"])


def test_the_share_of_fraud_is_what_was_asked_for() -> None:
    population = make_population(seed=2, customers=20_000)
    batches = list(itertools.islice(transactions(population, MONDAY), 14 * 24))
    made, fraud = sum(len(batch.transactions) for batch in batches), sum(len(batch.truth) for batch in batches)
    assert abs(fraud / made - 0.006) < 0.0005
    names = pa.concat_tables([batch.truth for batch in batches])["scenario"].to_numpy()
    for scenario in SCENARIOS:
        assert abs((names == scenario.name).mean() - scenario.share) < 0.03


def test_without_fraud_there_is_none() -> None:
    made, truth, labels = stream(MONDAY, MONDAY + timedelta(hours=30), Run("calm", fraud_share=0.0))
    assert len(made) > 0
    assert len(labels) < 3  # somebody complains without a reason
    assert len(truth) == 0


def test_required_fields_are_there_and_optional_ones_mostly(weeks: Weeks) -> None:
    table = weeks.transactions
    nulls = {name: table[name].null_count / len(table) for name in table.column_names}
    assert all(nulls[name] == 0 for name in ("transaction_id", "event_time", "customer_id", "amount"))
    assert 0 < nulls["merchant_category"] < 0.05
    assert nulls["latitude"] == nulls["longitude"]
    in_person = pc.is_in(table["channel"], pa.array(["chip", "contactless", "atm"]))
    assert 0.01 < table.filter(in_person)["latitude"].null_count / pc.sum(in_person).as_py() < 0.1
    assert table.filter(pc.invert(in_person))["latitude"].drop_null().length() == 0


def test_a_customers_features_are_distributed_alike_before_and_after_the_live_start(weeks: Weeks) -> None:
    # The second and the third week of one log: as history and the live traffic that continues it.
    features = (
        CustomerTable()
        .fold(weeks.transactions["customer_id"].combine_chunks(), events_from_arrow(weeks.transactions))
        .features
    )
    days = (weeks.transactions["event_time"].cast(pa.int64()).to_numpy() - MONDAY.timestamp() * 1000) // 86_400_000
    before, after = features[(days >= 7) & (days < 14)], features[days >= 14]
    moody = {"count_1h", "count_24h", "sum_24h"}  # paydays lie in one of the weeks
    for name in ("log_amount", "hour_of_day", "count_1h", "count_24h", "sum_24h", "distance_km"):
        column = FEATURES.index(name)
        assert kolmogorov_smirnov(before[:, column], after[:, column]) < (0.08 if name in moody else 0.02), name


def kolmogorov_smirnov(one: Array, other: Array) -> float:
    """The largest distance between the distribution functions of two samples."""
    at = np.unique(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def test_a_start_without_a_time_zone_is_refused(population: Population) -> None:
    with pytest.raises(ValueError, match=r"start needs a time zone.*write 2026-04-20T00:00:00Z"):
        transactions(population, MONDAY.replace(tzinfo=None))
