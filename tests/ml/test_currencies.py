"""Amounts of several currencies: what is compared is what they are worth, and what is not in the table is not guessed."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.dataset.history import History
from ml.dataset.transactions import fold_history
from ml.features import CUSTOMER, FEATURES, HOUR, LARGEST_AMOUNT, fold
from ml.features.currencies import (
    AS_PAID,
    Rates,
    RatesUnreadable,
    default_rates,
    in_base,
    keep_roundness,
)
from ml.features.customers import CustomerTable
from ml.features.events import events, events_from_arrow
from ml.schema import TRANSACTION_ARROW, Transaction
from tests.ml.evaluation_cases import START, times

RATES = Rates("EUR", "2026-10-30", "made up", {"PLN": 0.25, "JPY": 0.0078125, "KWD": 2.75, "XTS": 1e12})
HOSTILE = ["", "eur", "Eur", "🙂", "EUR ", "\x00", "E" * 10_000, "NaN", "1"]

currencies = st.sampled_from([None, "EUR", "PLN", "JPY", "KWD", "XTS", *HOSTILE])
amounts = st.one_of(
    st.floats(0, 1e6), st.sampled_from([0.0, 5e-324, 100.0, 1e12, 1e300, 1.7976931348623157e308]), st.floats(0, 1e308)
)


def transaction(amount: float, currency: str | None, number: int = 0, **fields: object) -> Transaction:
    at = times([START + number * HOUR])[0].as_py()
    return Transaction(f"t{number}", at, "c1", amount, currency, **fields)  # type: ignore[arg-type]


def table_of(transactions: list[Transaction]) -> pa.Table:
    rows = [{name: getattr(one, name) for name in TRANSACTION_ARROW.names} for one in transactions]
    return pa.Table.from_pylist(rows, TRANSACTION_ARROW)


def features_of(transactions: list[Transaction], rates: Rates) -> np.ndarray:
    made = events(transactions, np.arange(len(transactions)), rates)
    found = fold(np.zeros(1, CUSTOMER), np.zeros(len(made), np.int64), made).features
    keep_roundness(found, made["amount"], np.array([one.amount for one in transactions]))
    return found


@given(st.lists(st.tuples(amounts, currencies), max_size=30))
def test_a_history_and_messages_give_the_same_events_and_none_is_out_of_range(
    paid: list[tuple[float, str | None]],
) -> None:
    made = [transaction(amount, currency, number) for number, (amount, currency) in enumerate(paid)]
    of_messages = events(made, np.full(len(made), -2), RATES)
    assert of_messages.tobytes() == events_from_arrow(table_of(made), RATES).tobytes()
    for one, folded in zip(made, of_messages["amount"].tolist(), strict=True):
        rate = RATES.rate(one.currency)
        assert folded == (one.amount if rate == 1 else min(one.amount * rate, LARGEST_AMOUNT))
    assert np.isfinite(features_of(made, RATES)).all()


@given(st.lists(st.tuples(amounts, st.sampled_from([None, "EUR"])), max_size=30))
def test_amounts_in_the_base_currency_stay_what_they_were_bit_for_bit(paid: list[tuple[float, str | None]]) -> None:
    made = [transaction(amount, currency, number) for number, (amount, currency) in enumerate(paid)]
    assert RATES.rates_of([one.currency for one in made]) is None
    assert features_of(made, RATES).tobytes() == features_of(made, AS_PAID).tobytes()


@given(st.lists(amounts, min_size=1, max_size=30), st.data())
def test_of_mixed_amounts_those_in_the_base_currency_stay_what_they_were(
    paid: list[float], data: st.DataObject
) -> None:
    named = data.draw(st.lists(currencies, min_size=len(paid), max_size=len(paid)))
    worth = in_base(np.array(paid), RATES.rates_of(named))
    for amount, currency, came in zip(paid, named, worth.tolist(), strict=True):
        if currency in (None, "EUR"):
            assert came == amount


def test_amounts_are_compared_by_what_they_are_worth() -> None:
    spent = [transaction(10.0, "EUR", number) for number in range(8)]
    same, dear = transaction(40.0, "PLN", 8), transaction(40.0, "KWD", 8)
    ratio = FEATURES.index("amount_ratio")
    assert features_of([*spent, same], RATES)[-1, ratio] == 1.0
    assert features_of([*spent, dear], RATES)[-1, ratio] == 11.0
    assert features_of([*spent, same], AS_PAID)[-1, ratio] == 4.0


@pytest.mark.parametrize("currency", HOSTILE)
def test_an_unknown_currency_is_an_amount_of_zero_whatever_the_amount(currency: str) -> None:
    spent = [transaction(10.0, "EUR", number) for number in range(8)]
    hostile = transaction(1e300, currency, 8)
    later = transaction(10.0, "EUR", 9)
    zero = transaction(0.0, "EUR", 8)
    roundness = FEATURES.index("roundness")
    found, expected = features_of([*spent, hostile, later], RATES), features_of([*spent, zero, later], RATES)
    assert np.delete(found, roundness, 1).tobytes() == np.delete(expected, roundness, 1).tobytes()


def test_a_round_amount_is_round_in_the_currency_that_was_paid() -> None:
    roundness = FEATURES.index("roundness")
    paid = [(100.0, "PLN"), (100.0, "JPY"), (12.34, "PLN"), (40.0, "PLN"), (7.0, "🙂"), (0.0, "PLN"), (1e308, "XTS")]
    found = features_of([transaction(amount, currency, n) for n, (amount, currency) in enumerate(paid)], RATES)
    assert found[:, roundness].tolist() == [3, 3, 0, 2, 1, 0, 3]


def test_a_folded_history_keeps_the_amounts_that_were_paid(tmp_path: Path) -> None:
    made = [transaction(100.0, "EUR", 0), transaction(100.0, "PLN", 1), transaction(100.0, "XXX", 2)]
    pq.write_table(table_of(made), tmp_path / "transactions.parquet")
    history = History.open(tmp_path, RATES)
    part = fold_history(history, {"fit": np.arange(3)}, CustomerTable(), currency="PLN").parts["fit"]
    assert part.features.tobytes() == features_of(made, RATES).tobytes()
    assert [None if math.isnan(amount) else amount for amount in part.amount] == [None, 100.0, None]
    assert part.features[:, FEATURES.index("log_amount")].tolist() == [math.log1p(x) for x in (100.0, 25.0, 0.0)]


def test_the_built_in_table_says_of_which_day_it_is_and_holds_what_the_generator_pays_in() -> None:
    table = default_rates()
    assert (table.base, table.date) == ("EUR", "2026-10-30")
    assert "European Central Bank" in table.source
    assert all(0 < table.rate(currency) < 2 for currency in ("EUR", "GBP", "CHF", "PLN", "JPY", "USD"))
    assert table.rate("KWD") == 0.0


def test_the_version_is_of_what_the_amounts_depend_on_and_of_nothing_else() -> None:
    same = Rates("EUR", "2020-01-01", "another", dict(reversed(RATES.rates.items())) | {"EUR": 1.0})
    assert same.version == RATES.version
    assert len({RATES.version, AS_PAID.version, Rates("EUR", "2026-10-30", "", {"PLN": 0.26}).version}) == 3
    assert AS_PAID.version == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"base": "eur"}, "base"),
        ({"base": ""}, "base"),
        ({"date": "yesterday"}, "date"),
        ({"rates": {"PLN": 0}}, "rates"),
        ({"rates": {"PLN": -1.0}}, "rates"),
        ({"rates": {"pln": 1.0}}, "rates"),
        ({"rates": {"PLN": "0.25"}}, "rates"),
        ({"rates": {"EUR": 2.0}}, "base currency is EUR, whose rate is 1, not 2"),
        ({"rate": {}}, "rate"),
        ({"a\nb": 1}, "a b"),
        ({"base": "EUR\n"}, "base"),
        ({"date": "2026-10-30\n"}, "date"),
        ({"date": "٢٠٢٦-10-30"}, "date"),
        ({"rates": {"PLN\n": 1.0}}, "rates"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_reason(tmp_path: Path, changed: dict, words: str) -> None:  # type: ignore[type-arg]
    whole = {"base": "EUR", "date": "2026-10-30", "source": "made up", "rates": {"PLN": 0.25}}
    file = tmp_path / "rates.json"
    file.write_text(json.dumps(whole))
    assert Rates.read(file).rate("PLN") == 0.25
    file.write_text(json.dumps(whole | changed))
    with pytest.raises(
        RatesUnreadable, match=rf"rates\.json should be a table .*{words}.* what one unit of it is worth"
    ) as refused:
        Rates.read(file)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "twice"),
    [
        ('"rates": {"PLN": 0.25, "JPY": 0.006, "PLN": 25}', "PLN"),
        ('"rates": {"PLN": 0.25, "\\u0050LN": 25}', "PLN"),
        ('"rates": {}, "rates": {"PLN": 25}', "rates"),
        ('"base": "USD", "rates": {}', "base"),
    ],
)
def test_a_table_that_says_something_twice_is_refused(tmp_path: Path, content: str, twice: str) -> None:
    file = tmp_path / "rates.json"
    file.write_text(f'{{"base": "EUR", "date": "2026-10-30", "source": "made up", {content}}}')
    with pytest.raises(RatesUnreadable, match=f"{twice} stands in it more than once"):
        Rates.read(file)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"{", b'{"base":"EUR","rates":{"PLN":1e400}}', b"[" * 10**5]
)
def test_any_bytes_are_a_table_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rates.json").write_bytes(content)
    with pytest.raises(RatesUnreadable):
        Rates.read(tmp_path / "rates.json")
    with pytest.raises(RatesUnreadable, match="No such file"):
        Rates.read(tmp_path / "another.json")
