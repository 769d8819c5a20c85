"""Tries to sign in are counted by user and address, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from page.access.throttle import MOST_FAILURES, WINDOW_SECONDS, Throttle

names = st.sampled_from(["ana", "bob", "x"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(names, st.floats(0, 60))))
def test_no_user_is_guessed_at_more_often_than_the_rate_allows(tries: list[tuple[str, float]]) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    passed = dict.fromkeys(("ana", "bob", "x"), 0)
    for number, (name, pause) in enumerate(tries):
        clock.now += pause
        passed[name] += throttle.begin(name, f"10.0.{number // 250}.{number % 250}") <= 0
    most = MOST_FAILURES["user"] * (1 + clock.now / WINDOW_SECONDS)
    assert max(passed.values()) <= most + 1e-6


def test_one_address_that_tries_many_users_has_to_wait_and_an_ipv6_network_is_one_address() -> None:
    throttle = Throttle(Clock())
    waits = [throttle.begin(f"user{n}", f"2001:db8::{n:x}") for n in range(40)]
    assert [wait > 0 for wait in waits] == [False] * 30 + [True] * 10
    assert throttle.begin("ana", "2001:db8:0:1::1") <= 0


def test_after_the_wait_that_was_named_one_may_try_again() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = [throttle.begin("ana", "10.0.0.1") for _ in range(11)]
    clock.now += waits[-1] + 0.001
    assert throttle.begin("ana", "10.0.0.1") <= 0


def test_who_signs_in_again_and_again_never_waits() -> None:
    throttle = Throttle(Clock())
    for _ in range(100):
        assert throttle.begin("ana", "10.0.0.1") <= 0
        throttle.worked("ana", "10.0.0.1")


def test_memory_is_bounded_whatever_names_and_addresses_come() -> None:
    throttle = Throttle(Clock(), most_kept=50)
    for number in range(1_000):
        throttle.begin(f"user{number}", f"10.1.{number // 250}.{number % 250}")
    assert throttle.kept <= 100
