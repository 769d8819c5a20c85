"""Which message leaves when: each item once, no more messages than the rate, quiet hours, repeats."""

import itertools
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifications.books import Message, decoded
from notifications.grouping import Grouping
from notifications.hours import local
from tests.notifications.making import alert, event, policy

START = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()

POLICY = """
channels:
  desk:
    url: json://127.0.0.1/x
    rate: {{messages: {messages}, per: 10m}}
    digest: {digest}
    quiet_hours: {quiet}
    time_zone: Europe/Berlin
  other: {{url: json://127.0.0.1/y, rate: {{messages: 1000, per: 1m}}}}
routes:
  - {{name: large, match: amount > 500, channels: [desk, other], group_by: [customer_id], continue: {goes_on}}}
  - {{name: small, match: amount <= 50, channels: [desk], digest: true}}
  - name: rest
    match: record == "alert"
    channels: [desk]
    group_by: [customer_id]
    group_wait: 30s
    group_interval: 5m
  - {{name: events, match: record == "event", channels: [desk], group_wait: 0s, repeat_interval: 1h}}
"""


def of(messages: int = 1_000, digest: str = "{every: 15m}", quiet: str = "[]", goes_on: str = "false") -> Grouping:
    return Grouping(policy(POLICY.format(messages=messages, digest=digest, quiet=quiet, goes_on=goes_on)))


def run(grouping: Grouping, until: float, begin: float = START, step: float = 10.0) -> list[Message]:
    sent, now = [], begin
    while now <= begin + until:
        sent += grouping.due(now)
        now += step
    return sent


def test_a_case_is_one_message_after_group_wait_and_updates_after_group_interval() -> None:
    grouping = of()
    for number in range(3):
        grouping.take(alert(number, "a"), START + number)
    assert [(m.kind, m.count, m.at - START) for m in run(grouping, 100)] == [("case", 3, 30.0)]
    for number in range(3, 10):
        grouping.take(alert(number, "a"), START + 100 + number)
    later = run(grouping, 600, START + 110)
    assert [(m.kind, m.number, m.count, m.total.count, m.at - START) for m in later] == [("update", 2, 7, 10, 330.0)]
    assert later[0].new.amounts == {"EUR": 700.0}


def test_customers_have_cases_of_their_own_and_a_case_ends_when_nothing_came_for_long() -> None:
    grouping = of()
    grouping.take(alert(1, "a"), START)
    grouping.take(alert(2, "b"), START)
    assert {m.case for m in run(grouping, 60)} == {"1", "2"}
    run(grouping, 3_700, START + 60, 60)
    assert not grouping.state.groups
    grouping.take(alert(3, "a"), START + 4_000)
    assert [(m.kind, m.case) for m in run(grouping, 60, START + 4_000)] == [("case", "3")]


def test_an_unresolved_event_is_repeated_and_a_resolved_one_is_not() -> None:
    grouping = of()
    grouping.take(event(1), START)
    sent = run(grouping, 2.5 * 3_600, step=60)
    assert [(m.kind, m.at - START) for m in sent] == [("case", 0.0), ("repeat", 3_600.0), ("repeat", 7_200.0)]
    assert [each.names.event for each in sent[1].firing] == ["no_progress"]
    grouping.take(event(2, resolved=True), START + 9_100)
    assert [m.kind for m in run(grouping, 4 * 3_600, START + 9_100, 60)] == ["resolved"]
    assert not grouping.state.groups


def test_what_is_only_said_is_said_once() -> None:
    grouping = of()
    grouping.take(event(1, "promotion", "info"), START)
    assert [m.kind for m in run(grouping, 86_400, step=300)] == ["case"]


def test_what_a_failed_channel_lost_and_what_a_full_one_does_not_take_is_in_the_digest() -> None:
    grouping = of()
    grouping.take(alert(1, "a"), START)
    (message,) = run(grouping, 40)
    grouping.failed(message)
    grouping.take(alert(2, "b"), START + 50)
    assert grouping.due(START + 90, {"other"}) == []
    (digest,) = run(grouping, 2_000, START + 100)
    assert (digest.kind, digest.undelivered, digest.undelivered_items, digest.count) == ("digest", 1, 1, 1)


def test_a_silence_takes_what_it_is_for_until_it_ends_and_the_digest_names_it() -> None:
    until = datetime.fromtimestamp(START + 100, UTC).isoformat()
    text = POLICY.format(messages=9, digest="{every: 15m}", quiet="[]", goes_on="false")
    silences = f'silences: [{{match: \'customer_id == "a"\', until: "{until}", reason: known test}}]'
    grouping = Grouping(policy(text + silences))
    assert not grouping.take(alert(1, "a"), START)
    assert grouping.take(alert(2, "b", amount=10.0), START)
    assert grouping.take(alert(3, "a"), START + 100)
    assert grouping.state.silenced == {'customer_id == "a"': 1}


def test_more_cases_than_are_kept_are_counted_in_the_digest() -> None:
    grouping = Grouping(of()._policy, most_groups=10)
    for number in range(1_000):
        grouping.take(alert(number, f"c{number}"), START)
    assert len(grouping.state.groups) == 10
    assert sum(m.count for m in run(grouping, 3_600)) == 1_000
    for number in range(1_000, 1_020):
        grouping.take(alert(number, f"c{number}"), START + 3_600 + number)
        grouping.due(START + 3_700 + number)
    assert len(grouping.state.groups) <= 10


def test_a_policy_without_a_route_or_a_channel_loses_nothing_in_silence() -> None:
    grouping = of()
    grouping.take(alert(1, "a", amount=600.0), START)
    grouping.take(alert(2, "b"), START)
    shorter = """
channels: {desk: {url: "json://127.0.0.1/x"}}
routes: [{name: rest, match: 'record == "alert"', channels: [desk]}]
"""
    assert grouping.use(policy(shorter)) == 1  # of the channel `other`
    assert sum(m.count for m in run(grouping, 3_600)) == 2


def test_state_outlives_a_restart() -> None:
    grouping = of()
    grouping.take(alert(1, "a"), START)
    again = Grouping(grouping._policy, decoded(grouping.state.encoded()))
    assert [(m.id, m.count) for m in run(again, 60)] == [(m.id, m.count) for m in run(grouping, 60)]


happenings = st.lists(
    st.tuples(
        st.floats(0, 400),
        st.sampled_from("abcde"),
        st.sampled_from([10.0, 100.0, 1_000.0]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


@hypothesis_settings(max_examples=150)
@given(
    happenings,
    st.integers(1, 5),
    st.sampled_from(["[]", '[{from: "13:05", to: "13:40"}]']),
    st.booleans(),
    st.booleans(),
)
def test_every_item_is_in_one_message_and_no_rate_and_no_quiet_hour_is_broken(
    happened: list[tuple[float, str, float, bool, bool]], rate: int, quiet: str, goes_on: bool, restarts: bool
) -> None:
    digest = "{every: 15m}" if goes_on else '{at: ["13:00", "14:30"]}'
    grouping = of(rate, digest, quiet, str(goes_on).lower())
    now, sent, expected = START, list[Message](), Counter[str]()
    for number, (pause, customer, amount, is_event, is_open) in enumerate(happened):
        now += pause
        item = event(number, severity="info") if is_event else alert(number, customer, amount)
        expected.update(name for route in grouping._policy.routes_of(item) for name in route.channels)
        grouping.take(item, now)
        sent += grouping.due(now, {"desk", "other"} if is_open else {"other"})
        if restarts:
            grouping = Grouping(grouping._policy, decoded(grouping.state.encoded()))
    sent += run(grouping, 2 * 86_400, now, 300)
    counted = Counter[str]()
    for message in sent:
        counted[message.channel] += message.count
        if message.lines:
            assert sum(line.tally.count for line in message.lines) == message.count
    assert counted == +expected
    assert len({message.id for message in sent}) == len(sent)
    times = [message.at for message in sent if message.channel == "desk"]
    assert all(later - earlier >= 600 for earlier, later in zip(times, times[rate:], strict=False))
    if quiet != "[]":
        berlin = [local(ZoneInfo("Europe/Berlin"), at).strftime("%H:%M") for at in times]
        assert not [at for at in berlin if "13:05" <= at < "13:40"]


@hypothesis_settings(max_examples=50)
@given(st.lists(st.floats(1, 4_000), min_size=1, max_size=20))
def test_repeats_keep_their_interval_however_often_the_event_is_reported(pauses: list[float]) -> None:
    grouping, now, sent = of(), START, list[Message]()
    for number, pause in enumerate(pauses):
        grouping.take(event(number), now)
        sent += run(grouping, pause, now, 30)
        now += pause
    for earlier, later in itertools.pairwise(sent):
        least = 3_600 if later.kind == "repeat" else 300
        assert later.at - earlier.at >= least
    assert sum(message.count for message in sent) + sum(g.pending.count for g in grouping.state.groups.values()) == len(
        pauses
    )
