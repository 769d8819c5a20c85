"""What the torture will do: its kills, its hostile messages, and how it knows that all is worked off."""

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.torture.outputs import a_model
from torture.checkpoint import committed, reached
from torture.hostile import RARE, kinds
from torture.kills import SHARES, WITH_SERVICE, planned
from torture.options import Options
from torture.reference import Limits, Log, expected
from torture.traffic import Message, Payments, message


@pytest.mark.parametrize(("kills", "seconds"), [(100, 1_300.0), (17, 160.0), (7, 60.0)])
def test_kills_are_spread_over_the_time_in_their_shares(kills: int, seconds: float) -> None:
    plan = planned(kills, seconds, seed=5)
    assert len(plan) == kills
    times = [kill.at for kill in plan]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= seconds
    counts = Counter(kill.kind for kill in plan)
    if kills == 100:
        assert counts == SHARES
    assert all(abs(counts[kind] - kills * share / 100) < 1 for kind, share in SHARES.items())
    assert planned(kills, seconds, seed=6) != plan


def test_the_service_is_killed_only_where_it_runs() -> None:
    assert "service" not in {kill.kind for kill in planned(100, 1_300.0, seed=5)}
    assert Counter(kill.kind for kill in planned(111, 1_300.0, 5, WITH_SERVICE)) == WITH_SERVICE


def test_the_driver_has_time_to_come_back_between_two_kills_of_it() -> None:
    plan = planned(100, 1_300.0, seed=5)
    after = [later.at - kill.at for kill, later in pairwise(plan) if kill.kind == "driver"]
    assert min(after) >= 10


def test_the_whole_fits_into_its_minutes() -> None:
    for minutes in (2.5, 5.0, 30.0):
        options, began = Options(minutes=minutes), 45.0
        seconds = options.feed_seconds(began)
        assert 30 <= seconds <= 60 * minutes - began - options.accounting_share * seconds - 20 - 25
    assert Options(minutes=30).feed_seconds(45.0) > 1_400
    assert Options(minutes=30).planned_kills == 100


def hostile(name: str, draws: int) -> list[Message]:
    payments, rng = Payments(3), np.random.default_rng(3)
    make = (kinds(Path("none")) | RARE)[name]
    return [made for k in range(draws) for made in make(payments.next(1_790_000_000_000 + k, 0.0), rng)]


@pytest.mark.parametrize("name", [*kinds(Path("none")), *RARE])
def test_hostile_messages_end_as_scores_or_dead_letters_and_touch_no_other(name: str) -> None:
    """The reference itself must stand what the job shall stand, and judge the ordinary ones between as if alone."""
    payments = Payments(9)
    good = [message(payments.next(1_790_000_000_000 + 1_000 * k, 0.0)) for k in range(200)]
    good = [
        (b"G" + (key or b""), (value or b"").replace(b'"customer_id":"', b'"customer_id":"G')) for key, value in good
    ]
    bad = hostile(name, 3 if name in RARE else 200)
    mixed = [message for pair in zip(good, [*bad, *bad][:200], strict=False) for message in pair]

    def judged(sent: list[Message]) -> dict[bytes | None, tuple[bytes, bool]]:
        n = len(sent)
        times = np.full(n, 1_790_000_000_000)
        log = Log(np.zeros(n, np.int64), np.arange(n), times, [key for key, _ in sent], [value for _, value in sent])
        found = expected(log, np.zeros(n, np.int64), np.ones(n, np.int64), {1: a_model()}, Limits())
        return {value: (found.features[k].tobytes(), bool(found.dead[k])) for k, (_, value) in enumerate(sent)}

    alone, among = judged(good), judged(mixed)
    assert all(among[value] == alone[value] for _, value in good[: len(mixed) // 2])


def test_hostile_messages_are_of_great_variety() -> None:
    values = [value for name in kinds(Path("none")) for _, value in hostile(name, 100)]
    assert len(set(values)) > 1_000
    assert None in values
    assert max(len(value or b"") for value in values) > 250_000


def test_what_fuzzing_found_is_sent_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one").write_bytes(b"\xff{")
    make = kinds(tmp_path)["from the fuzzing corpus"]
    good = Payments(1).next(0, 0.0)
    assert make(good, np.random.default_rng(0)) == [(good.customer_id.encode(), b"\xff{")]


def test_payments_are_the_same_for_the_same_seed_and_new_customers_come() -> None:
    one, other = Payments(4), Payments(4)
    drawn = [one.next(1_790_000_000_000, 3.5) for _ in range(300)]
    assert drawn == [other.next(1_790_000_000_000, 3.5) for _ in range(300)]
    assert any(payment.customer_id.startswith("N3-") for payment in drawn)
    latest = datetime.fromtimestamp(1_790_000_000, UTC)
    assert all(payment.event_time <= latest for payment in drawn)
    assert sum(payment.event_time < latest for payment in drawn) > 0


def test_a_query_has_worked_off_a_topic_when_its_last_commit_reaches_the_end(tmp_path: Path) -> None:
    for folder in ("commits", "offsets"):
        (tmp_path / folder).mkdir()
    ends = {"scores": {"0": 10, "1": 0}}
    assert committed(tmp_path) == {}
    assert not reached(tmp_path, ends)
    for number, end in ((9, 7), (10, 10)):
        (tmp_path / "offsets" / str(number)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{{"scores":{{"0":{end}}}}}')
        assert not reached(tmp_path, ends)
        (tmp_path / "commits" / str(number)).write_text("v1\n{}")
    assert reached(tmp_path, ends)
    assert not reached(tmp_path, ends | {"transactions.invalid": {"0": 1}})
