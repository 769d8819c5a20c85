"""What has been seen on Kafka adds up, in whatever order it comes."""

import itertools
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.parts import Wave
from demo.quality import Part, Quality, by_scenario
from demo.tally import Places, Tally
from ml.label_rule import FRAUD, NOTHING_KNOWN, change, counting
from tests.demo.records import LIVE, score, truth


def test_precision_and_recall_are_none_where_there_was_no_fraud() -> None:
    tally = Tally()
    tally.score(score(0, anomaly=True), 1_000_400)
    assert tally.quality.precision is None
    assert tally.quality.recall is None


def test_precision_is_none_and_recall_zero_where_fraud_was_missed_and_nothing_alerted() -> None:
    tally = Tally()
    tally.truth(truth("t0"))
    tally.score(score(0), 1_000_400)
    assert tally.quality.precision is None
    assert tally.quality.recall == 0.0


def test_a_fraud_that_is_not_scored_yet_does_not_count() -> None:
    tally = Tally()
    tally.truth(truth("t0"))
    tally.truth(truth("t1"))
    tally.score(score(0, anomaly=True), 1_000_400)
    assert tally.quality.recall == 1.0


def test_precision_and_recall_do_not_depend_on_the_order_of_scores_and_truth() -> None:
    scores = [score(n, anomaly=n in (0, 1, 2)) for n in range(4)]
    labels = [truth("t0"), truth("t3"), truth("t2", is_fraud=False)]
    for events in itertools.permutations([*scores, *labels]):
        tally = Tally()
        for event in events:
            tally.truth(event) if hasattr(event, "is_fraud") else tally.score(event, 1_000_400)  # type: ignore[arg-type]
        assert (tally.quality.precision, tally.quality.recall) == (1 / 3, 1 / 2)


def test_a_record_that_comes_twice_counts_once() -> None:
    tally = Tally()
    tally.truth(truth("t0"))
    for _ in range(2):
        tally.score(score(0, anomaly=True), 1_000_400)
        tally.truth(truth("t0"))
        tally.dead_letter(0, 1)
    assert (len(tally.scored), len(tally.invalid), tally.alerts) == (1, 1, 1)
    assert (tally.quality.frauds, tally.quality.caught) == (1, 1)
    assert tally.latencies_ms == {400: 1}


said = st.tuples(
    st.integers(0, 2), st.sampled_from(["chargeback", "analyst", "simulator"]), st.sampled_from([True, False, None])
)


@given(st.lists(said, max_size=12), st.integers(0, 12))
def test_what_counts_as_fraud_follows_the_rule_of_labels(
    labels: list[tuple[int, str, bool | None]], scored_after: int
) -> None:
    tally, known = Tally(), dict.fromkeys(range(3), NOTHING_KNOWN)
    for place in range(13):
        if place == scored_after:
            for number in range(3):
                tally.score(score(number, anomaly=number != 0), 1_000_400)
        for number, source, is_fraud in labels[place : place + 1]:
            tally.truth(msgspec.structs.replace(truth(f"t{number}"), source=source, is_fraud=is_fraud))
            known[number] = change(known[number], source, is_fraud).known
    frauds = [number for number in range(3) if counting(known[number]) == FRAUD]
    assert (tally.quality.frauds, tally.quality.caught) == (len(frauds), sum(number != 0 for number in frauds))
    assert sum(len(campaign.transactions) for campaign in tally.campaigns) == len(frauds)
    assert all(campaign.transactions for campaign in tally.campaigns)


def test_the_last_alerts_come_newest_first_and_say_which_are_fraud() -> None:
    tally = Tally()
    tally.truth(truth("t11", "account_takeover"))
    for n in range(12):
        tally.score(score(n, anomaly=True), 1_000_400)
    alerts = tally.recent_alerts()
    assert [alert.score.offset for alert in alerts] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert [alert.scenario for alert in alerts[:2]] == ["account_takeover", None]


def test_a_campaign_is_caught_at_its_first_alerted_transaction_in_simulated_time() -> None:
    tally = Tally()
    for n in range(4):
        tally.truth(truth(f"t{n}"))
    tally.truth(truth("t9", customer_id="c0000002"))
    # They are scored in another order than that in which they happened.
    for offset, minutes, anomaly in ((3, 9.0, True), (2, 5.0, True), (0, 0.0, False), (1, 2.0, False)):
        tally.score(score(offset, minutes=minutes, anomaly=anomaly), 1_000_400)
    tally.score(score(9, customer_id="c0000002"), 1_000_400)
    [result] = by_scenario(tally.campaigns)
    assert (result.campaigns, result.caught, result.frauds, result.alerted) == (2, 1, 5, 2)
    assert (result.median_transactions, result.median_seconds) == (3, 300.0)


def test_a_false_alarm_on_a_victims_own_payment_does_not_catch_the_campaign() -> None:
    tally = Tally()
    tally.truth(truth("t0"))
    tally.score(score(0), 1_000_400)
    tally.score(score(1, anomaly=True), 1_000_400)
    [result] = by_scenario(tally.campaigns)
    assert result.caught == 0
    assert result.median_seconds is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5_000))))
def test_places_are_a_set(places: list[tuple[int, int]]) -> None:
    seen, expected = Places(), set[tuple[int, int]]()
    for place in places:
        assert seen.add(*place) == (place not in expected)
        expected.add(place)
    assert len(seen) == len(expected)


def test_a_far_offset_is_a_place_too() -> None:
    seen = Places()
    assert seen.add(0, 10_000_000)
    assert not seen.add(0, 10_000_000)
    assert len(seen) == 1


@pytest.mark.parametrize("first", [True, False])
def test_the_simulated_clock_never_goes_back(first: bool) -> None:
    tally = Tally()
    minutes = (5.0, 3.0) if first else (3.0, 5.0)
    for n, minute in enumerate(minutes):
        tally.score(score(n, minutes=minute), 1_000_400)
    assert tally.clock == score(0, minutes=5.0).event_time


def test_an_alert_is_shown_once_whichever_lane_was_first_and_each_lane_counts_its_own() -> None:
    tally = Tally()
    tally.early_alert(score(0, anomaly=True), 1_000_003)
    tally.early_alert(score(0, anomaly=True), 1_000_009)
    tally.score(score(1, anomaly=True), 1_000_400)
    assert [alert.score.offset for alert in tally.recent_alerts()] == [1, 0]
    tally.score(score(0, anomaly=True), 1_000_500)
    tally.early_alert(score(1, anomaly=True), 1_000_700)
    assert [alert.score.offset for alert in tally.recent_alerts()] == [1, 0]
    assert (tally.alerts, len(tally.early_alerts)) == (2, 2)
    assert tally.early_latencies_ms == {3: 1, 700: 1}


def test_each_score_counts_for_the_version_that_judged_it_in_the_chapter_in_which_it_reached_kafka() -> None:
    tally = Tally()
    tally.truth(truth("t1"))
    tally.parts.begin_chapter("forest", 1_000)
    tally.parts.begin_chapter("labels", 2_000)
    for offset, (kafka_time, version) in enumerate([(1_999, 1), (2_000, 1), (1_500, 1), (2_001, 2)]):
        tally.score(score(offset, anomaly=offset > 0, kafka_time=kafka_time, model_version=version), 3_000)
    tally.truth(truth("t3"))
    assert tally.qualities() == [
        (Part("forest", 1), 2, Quality(1, 0, 0)),
        (Part("labels", 1), 1, Quality(1, 1, 1)),
        (Part("labels", 2), 1, Quality(1, 1, 1)),
    ]


def test_the_wave_is_the_fraud_of_the_attack_from_its_beginning_on() -> None:
    tally = Tally()
    assert tally.wave is None
    tally.wave_since = LIVE + timedelta(minutes=30)
    assert tally.wave == Wave(0, 0, None)
    tally.parts.begin_chapter("attack", 1_000)
    for offset, (minutes, kafka_time, written) in enumerate([(29, 1_000, 1_100), (30, 2_000, 0), (31, 2_500, 4_500)]):
        seen = score(offset, anomaly=offset != 1, minutes=minutes, kafka_time=kafka_time)
        tally.truth(truth(f"t{offset}"))
        tally.score(seen, written)
    tally.parts.begin_chapter("drift", 9_000)
    tally.truth(truth("t3"))
    tally.score(score(3, anomaly=True, minutes=40, kafka_time=9_000), 9_001)
    assert tally.wave == Wave(2, 1, 2.5)
