"""Which requests are the same payment: by customer and id, and what is paid."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from detection.decision import Decision
from detection.engine import Engine, Scored
from detection.ledger import Versions
from detection.message_parsing import parse
from detection.score_json import closing
from ml.features.customers import Customers
from serving.identity import contents_of, payment_of
from tests.detection import recorded_log
from tests.detection.scores import exact

PLAIN: dict[str, Any] = {
    "transaction_id": "t",
    "event_time": "2026-03-02T08:00:00.125Z",
    "customer_id": "ann",
    "amount": 12.5,
    "currency": "EUR",
    "merchant_id": "m",
}


def transaction(**changes: Any) -> Any:
    return parse(msgspec.json.encode(PLAIN | changes))


def test_a_transaction_and_the_score_of_it_are_the_same_payment() -> None:
    messages = recorded_log.messages()[:700]
    model = recorded_log.model()
    decision = Decision.from_table(Versions(model.version, name=model.name, model_digest=model.digest), model, None)
    outcomes = Engine(Customers()).work(recorded_log.taken(messages), decision, closing("early", None, 0))
    scored = [(m.value, exact(o.value)) for m, o in zip(messages, outcomes, strict=True) if isinstance(o, Scored)]
    for value, score in scored:
        came = parse(value or b"")
        assert (payment_of(score), contents_of(score)) == (payment_of(came), contents_of(came))
    assert len(scored) > 300


@pytest.mark.parametrize(
    "change",
    [{"amount": 9999.0}, {"currency": "PLN"}, {"merchant_id": "other"}, {"event_time": "2026-03-02T08:00:01Z"}],
)
def test_what_is_paid_makes_other_contents(change: dict[str, Any]) -> None:
    assert contents_of(transaction(**change)) != contents_of(transaction())


def test_another_way_to_write_the_same_time_changes_nothing() -> None:
    assert transaction().event_time == datetime(2026, 3, 2, 8, 0, 0, 125_000, UTC)
    assert contents_of(transaction(event_time="2026-03-02T09:00:00.125+01:00")) == contents_of(transaction())


def test_two_customers_may_use_the_same_id() -> None:
    assert payment_of(transaction(customer_id="bob")) != payment_of(transaction())
