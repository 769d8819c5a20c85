"""What a look sees: the registry, the lake and the work that is under way, as plain figures that a decision is made from."""

from typing import NamedTuple

import msgspec


class Trying(NamedTuple):
    """A version that is on trial: of the customers it scores a share, and judges one."""

    version: int
    share: float = 1.0
    judges: float = 0.0


class Live(msgspec.Struct, frozen=True):
    """What a version did with live traffic: how many records it judged, or scored beside the champion, and alerted of them.

    latency_ms: from Kafka to the score, of 99 in 100 of the newest; None where there are none.
    """

    records: int = 0
    alerts: int = 0
    latency_ms: float | None = None


class Pair(msgspec.Struct, frozen=True):
    """Of frauds that are known, how many each of two models alone alerted, on the same records."""

    only_champion: int = 0
    only_other: int = 0


class Seen(msgspec.Struct, frozen=True):
    """One look. now: ms since the epoch; event_now: the newest transaction's time, None where the lake has none.

    champion, previous, trial: the aliases. budget: the champion's, a share; learned_until: the end of its history, event ms.
    paused: why the watcher is held up, "" where it is not. held: versions that a person keeps from being promoted.
    new_frauds: known since the champion learned; known_frauds: in the window that would be trained on. alarms: of
    drift that last. recall: of the champion in the last days, value and upper bound, None where not known.
    live: of the champion's judgements since it was promoted; tried: of the version on trial; pair: of both, on known frauds.
    by_hand: how often others than the watcher have changed the champion.
    dead_letters: their share of what came since the last looks, None where not known. blind: what could not be seen, and why.
    """

    now: int
    event_now: int | None = None
    champion: int | None = None
    previous: int | None = None
    trial: Trying | None = None
    budget: float = 0.005
    learned_until: int | None = None
    paused: str = ""
    held: tuple[int, ...] = ()
    new_frauds: int = 0
    known_frauds: int = 0
    alarms: tuple[str, ...] = ()
    recall: tuple[float, float] | None = None
    live: Live = Live()
    tried: Live = Live()
    pair: Pair = Pair()
    dead_letters: float | None = None
    by_hand: int = 0
    blind: tuple[str, ...] = ()
