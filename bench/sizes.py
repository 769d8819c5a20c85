"""How much each call of the benchmark measures."""

from dataclasses import dataclass, replace
from typing import Final

from bench.lane import LanePlan
from bench.robustness import RobustnessPlan
from bench.trial import Plan

_GROWTH: Final = Plan(seconds=60.0, backlog=2_000_000)
_TRIAL: Final = Plan(seconds=60.0, backlog=1_000_000)
_PEER_TRIAL: Final = replace(_TRIAL, backlog=400_000, limit_seconds=120.0)
_LANE: Final = LanePlan()
_ROBUSTNESS: Final = RobustnessPlan()
_WHOLE_LANE: Final = replace(_LANE, backlog=1_000_000)


@dataclass(frozen=True)
class Sizes:
    """growth: the plan for each number of customers. trial: Scoreline's; peer_trial: the same with a shorter backlog.
    lane: of the lane by itself; whole_lane: the same with a million records that both lanes have taken in and that are
    compared."""

    customers: int = 100_000
    generated: int = 1_000_000
    catch_up: int = 5_000_000
    catch_up_warm_up_seconds: float = 60.0
    rates: tuple[float, ...] = (1_000.0, 5_000.0, 10_000.0, 20_000.0, 30_000.0)
    warm_up_seconds: float = 20.0
    sustained_seconds: float = 120.0
    growth_customers: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    growth: Plan = _GROWTH
    trial: Plan = _TRIAL
    peer_trial: Plan = _PEER_TRIAL
    piece_rows: int = 100_000
    piece_repetitions: int = 5
    soak_rate: float = 1_000.0
    soak_minutes: float = 10.0
    lane: LanePlan = _LANE
    whole_lane: LanePlan = _WHOLE_LANE
    robustness: RobustnessPlan = _ROBUSTNESS


FULL: Final = Sizes()

_QUICK: Final = Plan(
    backlog=600_000,
    backlog_warm_up_seconds=5.0,
    limit_seconds=90.0,
    warm_up_seconds=6.0,
    seconds=12.0,
    drain_seconds=5.0,
)

QUICK: Final = Sizes(generated=300_000, trial=_QUICK, peer_trial=replace(_QUICK, backlog=60_000))

_TINY: Final = Plan(
    rate=200.0, warm_up_seconds=2.0, seconds=6.0, drain_seconds=20.0, backlog=20_000, limit_seconds=20.0
)

_TINY_LANE: Final = LanePlan(
    rate=100.0,
    warm_up_seconds=1.0,
    seconds=4.0,
    rates=(200.0,),
    rate_seconds=3.0,
    spark_warm_up_seconds=2.0,
    spark_seconds=5.0,
    backlog=5_000,
    compared=5_000,
    peer_rates=(10.0,),
    peer_seconds=4.0,
)

_TINY_ROBUSTNESS: Final = RobustnessPlan(
    many=3_000,
    rate=100.0,
    before_kill_seconds=2.0,
    warm_up_seconds=1.0,
    promotion_seconds=14.0,
    promotion_every=6.0,
    bad_seconds=6.0,
)

SMALL: Final = replace(
    FULL,
    customers=2_000,
    generated=50_000,
    catch_up=50_000,
    catch_up_warm_up_seconds=1.0,
    rates=(200.0, 1_000.0),
    warm_up_seconds=2.0,
    sustained_seconds=6.0,
    growth_customers=(1_000, 2_000),
    growth=_TINY,
    trial=_TINY,
    peer_trial=replace(_TINY, backlog=5_000),
    piece_rows=2_000,
    piece_repetitions=3,
    soak_minutes=0.3,
    lane=_TINY_LANE,
    whole_lane=_TINY_LANE,
    robustness=_TINY_ROBUSTNESS,
)

_TINY_QUICK: Final = replace(_TINY, rate=1_000.0)

SMALL_QUICK: Final = replace(SMALL, trial=_TINY_QUICK, peer_trial=replace(_TINY_QUICK, backlog=5_000))
