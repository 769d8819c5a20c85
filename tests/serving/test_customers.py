"""What an analyst sees of a customer is what was folded, and only with a key."""

import hashlib
from contextlib import nullcontext, suppress

import pytest

from detection.engine import Engine
from detection.message_parsing import Invalid, parse
from ml.features.customers import Customers
from serving.access import Access, Key
from serving.customers import Lookup
from serving.http import RequestRefused
from serving.share import Elsewhere
from tests.detection import recorded_log

KEYS = {"analyst": Key(hashlib.sha256(b"secret").hexdigest(), rate=None)}
SCOPE = {"headers": [(b"authorization", b"Bearer secret")]}


def folded() -> tuple[Customers, dict[str, int]]:
    """A log's customers, and how many transactions of each can be read, duplicates included."""
    log = recorded_log.messages()
    customers = Customers()
    Engine(customers).fold(recorded_log.taken(log))
    sent: dict[str, int] = {}
    for message in log:
        try:
            who = parse(message.value).customer_id
        except Invalid:
            continue
        sent[who] = sent.get(who, 0) + 1
    return customers, sent


def test_it_says_of_each_customer_how_many_transactions_were_folded_and_when_the_newest_was() -> None:
    customers, sent = folded()
    lookup = Lookup(customers, nullcontext(), Access(KEYS))
    found = {}
    for who in sent:
        with suppress(RequestRefused):  # none of its transactions may have been taken
            found[who] = lookup.answer(SCOPE, who)
    assert len(found) == customers.count
    assert sum(each.transactions for each in found.values()) == customers.states["count"].sum()
    assert all(0 < each.transactions <= sent[who] for who, each in found.items())
    assert all(each.newest_event_time is not None and each.mean_amount >= 0 for each in found.values())
    for each in found.values():
        times = [entry.event_time for entry in each.recent]
        assert times == sorted(times)
        assert not times or times[-1] <= each.newest_event_time


def test_without_the_key_or_where_there_are_no_keys_nothing_is_shown() -> None:
    customers, sent = folded()
    who = max(sent, key=lambda name: sent[name])
    for access, scope, status in (
        (Access({}), SCOPE, 404),
        (Access(KEYS), {"headers": []}, 401),
        (Access(KEYS), {"headers": [(b"authorization", b"Bearer other")]}, 401),
    ):
        with pytest.raises(RequestRefused) as refused:
            Lookup(customers, nullcontext(), access).answer(scope, who)
        assert refused.value.refused.status == status


def test_a_customer_who_is_not_known_stays_unknown() -> None:
    customers, _ = folded()
    before = customers.count
    with pytest.raises(RequestRefused, match="no transaction of this customer"):
        Lookup(customers, nullcontext(), Access(KEYS)).answer(SCOPE, "nobody")
    assert customers.count == before


def test_of_another_machines_partition_it_says_where_to_go_to_who_has_a_key() -> None:
    customers, sent = folded()
    who = next(iter(sent))
    lookup = Lookup(customers, nullcontext(), Access(KEYS), lambda _: Elsewhere(3, "http://second:8089"))
    with pytest.raises(RequestRefused) as refused:
        lookup.answer(SCOPE, who)
    assert (refused.value.refused.status, refused.value.refused.partition) == (421, 3)
    assert refused.value.headers == {"location": "http://second:8089"}
    with pytest.raises(RequestRefused) as refused:
        lookup.answer({"headers": []}, who)
    assert refused.value.refused.status == 401
