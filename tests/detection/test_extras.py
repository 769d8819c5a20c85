"""Declared extras of messages: read by name; what is none is unknown and marked, and no extra stops a payment."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.decision import Decision, basis_type, extras_in, not_judged
from detection.engine import Engine, Scored
from detection.extras import ExtrasReader
from detection.folding import Messages
from detection.message_parsing import Invalid, parse
from detection.ranges import Versions
from detection.score_json import closing
from ml.features import FEATURES, NO_POSITION
from ml.features.customers import Customers
from ml.features.declared import NOTHING, Declared, Extra
from tests.detection import recorded_log
from tests.detection.extras_cases import DECLARED, NOW, WITHOUT, judges_by_extras
from tests.detection.scores import exact

READER = ExtrasReader(DECLARED)
END = closing("early", None, 5)
AGE_RANGE = "it must be a number from 0 to 36,500"


def read(text: str) -> tuple[list[float | None], dict[str, str]]:
    """The extras of a transaction that has this beside the contract's fields, and why some are unknown."""
    value = WITHOUT[:-1] + (f",{text}}}" if text else "}").encode()
    transaction, found = READER.parse(value)
    assert transaction == parse(value)
    return list(msgspec.structs.astuple(found.numbers)), found.refused


def test_extras_are_read_by_name_in_any_order_and_the_rest_is_ignored() -> None:
    assert read('"device_risk":0.25,"V1":-3,"account_age":40') == ([40.0, 0.25, -3.0], {})
    assert read('"V1":1e1,"other":7,"note":"text"') == ([None, None, 10.0], {})
    assert read('"account_age":null,"V1":0,"device_risk":null') == ([None, None, 0.0], {})
    assert read("") == ([None, None, None], {})


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("1e400", None),
        ("-1", None),
        ("36500.5", None),
        ("9007199254740993", None),
        ("1" * 5_000, None),
        ('"5"', None),
        ("true", None),
        ("[5]", None),
        ('{"account_age":5}', None),
        ("36500", 36_500.0),
        ("-0.0", 0.0),
        ("1e-400", 0.0),
        ("0." + "9" * 5_000, 1.0),
        ("null", None),
    ],
)
@pytest.mark.parametrize("beside", ["", ',"V1":1', ',"other":"text"', ',"\\u0056":1'])
def test_what_is_no_number_of_its_range_is_unknown_and_marked_with_field_range_and_value(
    given: str, becomes: float | None, beside: str
) -> None:
    (age, _, v1), refused = read(f'"account_age":{given}{beside}')
    assert age == becomes
    assert v1 == (1.0 if "V1" in beside else None)
    shown = given if len(given) <= 60 else given[:60] + "…"
    wrong = becomes is None and given != "null"
    assert refused == ({"account_age": f"{AGE_RANGE}, but is {shown}"} if wrong else {})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "5.", "05", ".5", "0x1"])
def test_what_is_no_json_is_no_transaction(text: str) -> None:
    with pytest.raises(Invalid, match="not JSON"):
        read(f'"account_age":{text}')


@pytest.mark.parametrize("again", ['"account_age"', '"\\u0061ccount_age"', '"account\\u005fage"'])
@pytest.mark.parametrize("order", [("5", "6"), ("null", "6"), ("5", "null"), ("null", "null"), ("5", '"x"')])
@pytest.mark.parametrize("beside", ["", ',"V1":1', ',"other":"text"'])
def test_an_extra_that_comes_twice_is_unknown_and_marked(again: str, order: tuple[str, str], beside: str) -> None:
    (age, _, v1), refused = read(f'"account_age":{order[0]},{again}:{order[1]}{beside}')
    assert (age, v1) == (None, 1.0 if "V1" in beside else None)
    assert refused == {"account_age": "it stands in the object more than once"}


def test_a_name_within_another_field_is_no_extra() -> None:
    assert read('"account_age":5,"x":{"account_age":"high"}') == ([5.0, None, None], {})
    assert read('"x":[{"account_age":7},{"account_age":8}]') == ([None, None, None], {})
    assert read('"x":{"account_age":null}') == ([None, None, None], {})


numbers = st.none() | st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**30) | st.sampled_from([0, 1, -0.0, 36_500])
anything = numbers | st.booleans() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
members = st.lists(
    st.tuples(st.sampled_from([*(extra.name for extra in DECLARED), "other", "V2"]), anything), max_size=5
)


@given(members, st.booleans())
def test_what_is_read_is_what_another_parser_finds(given: list[tuple[str, Any]], spaced: bool) -> None:
    separators = (", ", " : ") if spaced else (",", ":")
    texts = [json.dumps({name: value}, separators=separators)[1:-1] for name, value in given]
    found, refused = read(separators[0].join(texts))
    for extra, number in zip(DECLARED, found, strict=True):
        values = [value for name, value in given if name == extra.name]
        is_number = len(values) == 1 and isinstance(values[0], int | float) and not isinstance(values[0], bool)
        fits = is_number and extra.lowest <= values[0] <= extra.highest
        assert number == (values[0] if fits else None)
        assert (extra.name in refused) == (not fits and values not in ([], [None]))


def test_names_that_python_uses_itself_are_only_names() -> None:
    names = ["class", "n0", "self", "None", "mro", "msgspec"]
    reader = ExtrasReader(tuple(Extra(name, 0, 9) for name in names))
    value = WITHOUT[:-1] + b"," + json.dumps({name: k for k, name in enumerate(names)})[1:].encode()
    assert reader.array([reader.parse(value)[1]]).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_the_basis_has_the_extras_by_name_and_is_as_before_without_them() -> None:
    kind = basis_type(("a", "b"))
    rows = np.zeros(3, kind)
    extras_in(rows)[:] = [[1, 2], [3, 4], [5, 6]]
    assert rows["extras"]["b"].tolist() == [2, 4, 6]
    assert kind.itemsize == basis_type().itemsize + 16
    assert np.frombuffer(not_judged(kind), kind)["position"].tolist() == [NO_POSITION]


def outcomes(values: list[bytes], decision: Decision, declared: Declared) -> list[dict[str, Any]]:
    n = len(values)
    messages = Messages(values, [b"C"] * n, [NOW] * n, [0] * n, range(n))
    found = Engine(Customers(), declared=declared).work(messages, decision, END)
    for one in found:
        assert isinstance(one, Scored)
        exact(one.value)
    return [json.loads(one.value) for one in found if isinstance(one, Scored)]


def some(*extras: str) -> list[bytes]:
    return [
        json.dumps({**json.loads(WITHOUT), "transaction_id": f"T{k}"}).encode()[:-1] + f",{text}}}".encode()
        for k, text in enumerate(extras)
    ]


def test_a_score_has_the_extras_and_says_why_some_are_unknown() -> None:
    decision = Decision.from_table(Versions(7), recorded_log.model(), None)
    whole, wrong = outcomes(some('"V1":0.5,"account_age":3', '"V1":"high","device_risk":0'), decision, DECLARED)
    assert whole["extras"] == {"account_age": 3, "device_risk": None, "V1": 0.5}
    assert "refused_extras" not in whole
    assert wrong["extras"] == {"account_age": None, "device_risk": 0, "V1": None}
    assert wrong["refused_extras"] == {"V1": 'it must be a number from -1,000 to 1,000, but is "high"'}
    ignored = outcomes(some('"V1":"high","device_risk":0'), decision, NOTHING)[0]
    assert not {"extras", "refused_extras", "V1", "device_risk"} & ignored.keys()


def test_a_model_judges_by_the_extras_that_it_names_and_by_its_own_value_where_one_is_unknown() -> None:
    decision = Decision.from_table(Versions(7), judges_by_extras(), None)
    values = some('"V1":900,"account_age":3', '"V1":-900', '"account_age":3', '"V1":2000')
    high, low, without, outside = outcomes(values, decision, DECLARED)
    assert high["is_anomaly"]
    assert not low["is_anomaly"]
    assert without["anomaly_score"] == outside["anomaly_score"] == pytest.approx(0.5)
    assert list(high["named_features"]) == [*FEATURES, "V1"]
    assert high["named_features"]["V1"] == 900
    reason = high["reasons"][0]
    assert (reason["feature"], reason["value"], reason["usual_low"], reason["usual_high"]) == ("V1", 900, -100, 100)
