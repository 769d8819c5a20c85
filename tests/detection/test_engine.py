"""The engine: one process that folds, scores, judges and writes, or only looks."""

import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.decision import Decision
from detection.engine import Engine, Limits, Scored
from detection.folding import Messages
from detection.message_parsing import Invalid, parse
from detection.ranges import Versions
from detection.refusals import Problem
from detection.score_json import closing
from ml.features import FEATURES
from ml.features.currencies import Rates
from ml.features.customers import Customers, identify
from ml.features.events import milliseconds
from tests.detection import recorded_log
from tests.detection.scores import exact

LOG = recorded_log.messages()
END = closing("early", None, 5)


@pytest.fixture(scope="module")
def decision() -> Decision:
    return Decision.from_table(Versions(7, 3, "recorded", "d1" * 32), recorded_log.model(), recorded_log.table())


def some(log: list[recorded_log.Message]) -> Messages:
    return recorded_log.taken(log)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, len(LOG) - 1), st.integers(0, 40))
def test_a_peek_says_what_would_come_of_messages_and_changes_nothing(start: int, count: int) -> None:
    decision = Decision.from_table(Versions(7), recorded_log.model(), recorded_log.table())
    customers = Customers(capacity=16)
    engine = Engine(customers)
    engine.work(some(LOG[:start]), decision, END)
    before, known = customers.states.tobytes(), customers.count
    there = identify(["C1", "nobody has this name"])
    peeked = engine.peek(some(LOG[start : start + count]), decision, END)
    assert (customers.states.tobytes(), customers.count) == (before, known)
    assert customers.find(there).tolist()[1] == -1
    assert peeked == engine.work(some(LOG[start : start + count]), decision, END)


def test_however_a_log_is_cut_each_message_comes_to_the_same(decision: Decision) -> None:
    whole = Engine(Customers()).work(some(LOG), decision, END)
    one_by_one = Engine(Customers())
    assert [one_by_one.work(some([message]), decision, END)[0] for message in LOG] == whole


def test_what_is_written_is_a_score(decision: Decision) -> None:
    found = Engine(Customers()).work(some(LOG), decision, END)
    scored = [came for came in found if isinstance(came, Scored)]
    assert len(scored) > len(LOG) / 2
    for came in scored:
        assert exact(came.value).is_anomaly == came.is_anomaly


def test_a_message_that_is_too_large_is_refused_and_its_neighbours_are_not(decision: Decision) -> None:
    log = LOG[:20]
    large = msgspec.structs.replace(log[7], value=(log[7].value or b"") + b" " * 1_000)
    limit = max(len(m.key or b"") + len(m.value or b"") for m in log)
    found = Engine(Customers(), Limits(limit)).work(some([*log[:7], large, *log[8:]]), decision, END)
    expected = Engine(Customers()).work(some([*log[:7], *log[8:]]), decision, END)
    refused = found.pop(7)
    assert isinstance(refused, Problem)
    assert f"a transaction has at most {limit:,}" in refused.reason
    assert (refused.partition, refused.offset) == (large.partition, large.offset)
    assert found == expected


RATES = Rates("EUR", "2026-10-30", "made up", {"PLN": 0.25, "JPY": 0.0078125, "KWD": 2.75})
CURRENCIES = [None, "EUR", "PLN", "JPY", "KWD", "", "eur", "\U0001f642", "E" * 2_000]


def paying_in(currencies: list[str | None]) -> list[recorded_log.Message]:
    """The beginning of the log, each transaction in another currency."""
    out = []
    for message, currency in zip(LOG, currencies, strict=False):
        try:
            value = msgspec.json.encode(msgspec.structs.replace(parse(message.value), currency=currency))
        except Invalid:
            continue
        out.append(msgspec.structs.replace(message, value=value))
    return out


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(CURRENCIES), min_size=1, max_size=120))
def test_amounts_of_several_currencies_come_to_what_they_are_worth_in_one(currencies: list[str | None]) -> None:
    decision = Decision.from_table(Versions(7), recorded_log.model(), recorded_log.table())
    log, end = paying_in(currencies), closing("early", None, 5, currency_version=RATES.version)
    customers = Customers()
    found = Engine(customers, Limits(rates=RATES)).work(some(log), decision, end)
    worth = Customers()
    for message in log:  # one by one, each message with what it is worth instead
        paid = parse(message.value)
        rate = RATES.rate(paid.currency)
        euros = msgspec.structs.replace(paid, amount=paid.amount if rate == 1 else paid.amount * rate, currency="EUR")
        Engine(worth).work(some([msgspec.structs.replace(message, value=msgspec.json.encode(euros))]), decision, END)
    assert customers.states.tobytes() == worth.states.tobytes()
    for message, came in zip(log, found, strict=True):
        if isinstance(came, Scored):
            score, paid = exact(came.value), parse(message.value)
            assert (score.amount, score.currency, score.currency_version) == (paid.amount, paid.currency, RATES.version)
            assert score.currency_unknown == (paid.currency not in (None, "EUR", *RATES.rates))
            assert (b"currency_unknown" in came.value) == score.currency_unknown


def test_in_one_currency_nothing_but_the_version_of_the_rates_is_new(decision: Decision) -> None:
    log = paying_in(["EUR", None] * 300)
    end = closing("early", None, 5, currency_version=RATES.version)
    plain = Engine(Customers()).work(some(log), decision, END)
    found = Engine(Customers(), Limits(rates=RATES)).work(some(log), decision, end)
    assert closing("early", None, 5) == END
    for before, came in zip(plain, found, strict=True):
        if isinstance(before, Scored):
            assert isinstance(came, Scored)
            assert came.value == before.value[:-1] + b',"currency_version":"%b"}' % RATES.version.encode()


KAFKA_TIMES = [-(2**63), -(2**63) + 1, -1, 0, 1_780_000_000_000, 2**53 + 1, 2**63 - 2, 2**63 - 1]
YEARS = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2026-05-28T20:26:40Z", "9999-12-31T23:59:59.999Z"]


@pytest.mark.parametrize("kafka_time", KAFKA_TIMES)
@pytest.mark.parametrize("event_time", YEARS)
def test_whatever_the_kafka_time_a_message_is_scored_unless_it_is_ahead_and_then_it_is_said_why(
    decision: Decision, kafka_time: int, event_time: str
) -> None:
    value = b'{"transaction_id":"t","event_time":"%b","customer_id":"c","amount":1}' % event_time.encode()
    messages = Messages([value], [b"c"], [kafka_time], [2**15 - 1], [2**48 - 1])
    (came,) = Engine(Customers()).work(messages, decision, END)
    if milliseconds(parse(value).event_time) - kafka_time > 24 * 3_600_000:
        assert isinstance(came, Problem)
        assert "ahead of the record's Kafka timestamp" in came.reason
    else:
        assert isinstance(came, Scored)
        assert (exact(came.value).kafka_time, exact(came.value).offset) == (kafka_time, 2**48 - 1)


def test_a_message_that_the_model_fails_for_is_folded_and_refused(decision: Decision) -> None:
    customers = Customers()
    rows = [
        row
        for row, came in enumerate(Engine(customers).work(some(LOG[:50]), decision, END))
        if isinstance(came, Scored)
    ]
    sound, amounts = decision.model.scorer.anomaly_score, list[float]()

    class Breaks:
        def anomaly_score(self, features: np.ndarray) -> np.ndarray:
            amounts.extend(features[:, 0].tolist())
            if (features[:, 0] == amounts[3]).any():
                raise RuntimeError("a tree without leaves")
            return sound(features)

        contributions = staticmethod(decision.model.scorer.contributions)

    broken = decision._replace(model=replace(decision.model, scorer=Breaks()))
    found = Engine(again := Customers()).work(some(LOG[:50]), broken, END)
    refused = [came for came in found if isinstance(came, Problem) and "judgement" in came.reason]
    assert refused
    assert all(came.folded for came in refused)
    assert len(refused) < len(rows) / 2
    assert again.states.tobytes() == customers.states.tobytes()


def test_a_single_message_takes_less_than_a_millisecond(decision: Decision) -> None:
    engine = Engine(Customers())
    engine.work(some(LOG[:1_000]), decision, END)
    taken = []
    for message in LOG[1_000:1_300]:
        one = some([message])
        begun = time.perf_counter()
        engine.peek(one, decision, END)
        taken.append(time.perf_counter() - begun)
    assert np.median(taken) < 0.001


class ByColumn:
    """Scores by the first two columns, so that their order shows."""

    def anomaly_score(self, features: np.ndarray) -> np.ndarray:
        return np.array([self.anomaly_score_one(row) for row in features])

    def anomaly_score_one(self, row: np.ndarray) -> float:
        return float(np.tanh(abs(row[0]) + 2 * abs(row[1])) / 2 + 0.25)

    def contributions(self, features: np.ndarray, typical: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(features - typical))


def test_a_model_that_names_some_of_the_features_in_another_order_judges_by_these() -> None:
    whole = recorded_log.model()
    names = tuple(reversed(FEATURES))[3:]
    places = [FEATURES.index(name) for name in names]
    scorer = ByColumn()
    model = replace(whole, scorer=scorer, features=names, usual=whole.usual[places])
    found = Engine(Customers()).work(some(LOG), Decision.from_table(Versions(7), model, None), END)
    scores = [exact(came.value) for came in found if isinstance(came, Scored)]
    assert len(scores) > len(LOG) / 2
    for score in scores:
        seen = [score.features[place] for place in places]
        assert score.anomaly_score == scorer.anomaly_score_one(np.array(seen))
        assert score.named_features == (dict(zip(names, seen, strict=True)) if score.is_anomaly else None)
