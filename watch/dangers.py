"""What is wrong with a model that judges: dead letters, alerts, latency, and fewer frauds than the champion before found."""

from fractions import Fraction
from math import comb

from watch.policy import Rollback, span
from watch.seen import Live, Pair, Seen
from watch.state import State


def champion_danger(seen: Seen, state: State, policy: Rollback) -> str:
    """Why the champion has to go back, "" where it has not. Only one that the watcher promoted, and only for some days."""
    promoted = state.promoted and state.promoted == seen.champion and state.changed is not None
    if not policy.automatic or not promoted or not seen.previous or seen.previous == seen.champion:
        return ""
    if (seen.event_now or 0) > (state.changed or 0) + span(policy.for_days):
        return ""
    return _misjudging(seen, seen.live, policy) or _missing(seen.pair, policy)


def trial_danger(seen: Seen, policy: Rollback) -> str:
    """Why a challenger that judges has to stop, "" where it has not."""
    return _misjudging(seen, seen.tried, policy)


def _misjudging(seen: Seen, live: Live, policy: Rollback) -> str:
    """What needs no labels."""
    if live.records < policy.least_records:
        return ""
    if seen.dead_letters is not None and seen.dead_letters > policy.most_dead_letters:
        return f"{seen.dead_letters:.2%} of the records became dead letters, at most {policy.most_dead_letters:.2%} may"
    share = live.alerts / live.records
    if not seen.budget / policy.alert_times <= share <= seen.budget * policy.alert_times:
        return (
            f"it alerted {share:.2%} of {live.records:,} records, with a budget of {seen.budget:.2%} and at most "
            f"{policy.alert_times:g} times more or less"
        )
    if live.latency_ms is not None and live.latency_ms > policy.latency_ms:
        return f"99 in 100 scores took up to {live.latency_ms:,.0f} ms, at most {policy.latency_ms:,.0f} may be"
    return ""


def _missing(pair: Pair, policy: Rollback) -> str:
    """What labels say, on the same records: an exact sign test on the frauds that one of both found alone."""
    ours, theirs = pair.only_champion, pair.only_other
    if theirs > ours and by_chance(ours, theirs) < policy.chance:
        return f"of the known frauds it alone found {ours:,}, and the champion before it alone {theirs:,}"
    return ""


def by_chance(few: int, many: int) -> float:
    """How probable so few of `few + many` are, or fewer, where both are as likely: the binomial distribution's tail.

    Q. McNemar, Psychometrika 12, 1947, in its exact form.

    >>> by_chance(1, 9), by_chance(5, 5) > 0.5
    (0.0107421875, True)
    """
    n = few + many
    return float(Fraction(sum(comb(n, k) for k in range(few + 1)), 2**n))
