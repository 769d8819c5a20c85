"""A customer's past: of the lake and the live feed together, and of the feed alone where the lake can't be read."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from lake.place import Place
from page import past
from page.feed.recent import Recent
from page.past import MOST, Pasts
from page.payment import Payment
from tests.lake.written import START, some_features, write_scores
from tests.page.search.payments import payment

HOSTILE = "'; drop view scores; --"
N = 500


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one customer 500 payments, one a minute, and of another whose id is hostile one."""
    place = Place(str(tmp_path_factory.mktemp("lake")))
    customers = ["C1"] * (N - 1) + [HOSTILE]
    write_scores(place, np.arange(N) * 60_000, some_features(N, 1), customer_id=customers)
    return place.uri


def recent_of(*payments: Payment) -> Recent:
    recent = Recent()
    for one in payments:
        recent.add(one)
    return recent


def test_what_both_have_is_there_once_in_its_order_and_bounded(lake: str) -> None:
    both = payment(498, customer_id="C1", transaction_id="T498", partition=0, event_time=START + timedelta(minutes=498))
    new = payment(600, customer_id="C1", event_time=START + timedelta(minutes=600))
    found = Pasts(lake, recent_of(new, both)).of_customer("C1")
    assert found.source == "the lake and the newest payments"
    assert len(found.payments) == MOST
    assert [one.transaction_id for one in found.payments][-3:] == ["T497", "T498", "T600"]
    times = [one.event_time for one in found.payments]
    assert times == sorted(times)
    assert found.payments[0].event_time.tzinfo is not None
    assert (found.payments[0].country, found.payments[0].merchant_id) == ("FR", None)


def test_an_id_is_a_value_and_never_part_of_the_question(lake: str) -> None:
    pasts = Pasts(lake, Recent())
    assert [one.transaction_id for one in pasts.of_customer(HOSTILE).payments] == [f"T{N - 1}"]
    assert len(pasts.of_customer("C1").payments) == MOST
    assert pasts.of_customer("nobody").payments == []


@pytest.mark.parametrize("damage", ["no table", "damaged"])
def test_without_a_readable_lake_the_past_is_that_of_the_feed_and_says_so(tmp_path: Path, damage: str) -> None:
    log = tmp_path / "scores" / "_delta_log"
    log.mkdir(parents=True)
    if damage == "damaged":
        (log / f"{0:020}.json").write_text("{")
    found = Pasts(str(tmp_path), recent_of(payment(1, customer_id="C1"))).of_customer("C1")
    assert [one.transaction_id for one in found.payments] == ["T1"]
    assert ("can't be read" in found.source) == (damage == "damaged")
    alone = Pasts(None, recent_of(payment(1, customer_id="C1"))).of_customer("C1")
    assert alone.source == "the 1 payments that this page has seen since it started"


def test_a_lake_that_takes_too_long_is_left_out_and_said(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "SECONDS", 0.3)
    endless = "select count(*) from range(100000000000) a(x) where x % 7 = 9 and ? is not null"
    monkeypatch.setattr(past, "_QUERY", endless)
    found = Pasts(lake, recent_of(payment(1, customer_id="C1"))).of_customer("C1")
    assert [one.transaction_id for one in found.payments] == ["T1"]
    assert "the lake took longer than 0.3 s" in found.source
