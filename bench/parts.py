"""The parts of a benchmark, each with its input, into the result of a session."""

from collections.abc import Sequence

from bench.beside import beside
from bench.catch_up import catch_up
from bench.errors import BenchError
from bench.full_speed import full_speed
from bench.lane import LanePlan, lane, lane_peer
from bench.peer_model import write_peer_model
from bench.pieces import pieces
from bench.profile_trials import profile_trials
from bench.result import Robustness
from bench.robustness import RobustnessPlan, killed, large_start, nonsense, promoted
from bench.run import STARTERS
from bench.session import Session
from bench.stages import Say
from bench.sustained import soak, sustained
from bench.systems import PEERS, Peer, Scoreline, System
from bench.targets import held
from bench.trial import Plan, trial


def measure_catch_up(bench: Session, customers: int, count: int, warm_up_seconds: float, say: Say) -> None:
    made = bench.input(customers, count)
    bench.result.catch_up = catch_up(bench.environment, made, count, warm_up_seconds, bench.choices.flags, say)


def measure_sustained(
    bench: Session, customers: int, rates: Sequence[float], seconds: tuple[float, float], say: Say
) -> None:
    """Rising rates, up to the first that is not held. seconds: of warm-up, and of measuring."""
    made = bench.input(customers, STARTERS + round(max(rates) * sum(seconds)))
    for rate in sorted(rates):
        bench.result.sustained.append(sustained(bench.environment, made, rate, seconds, bench.choices.flags, say))
        bench.save()
        if not held(bench.result.sustained[-1]):
            say(f"{rate:,.0f} transactions a second are not held: no higher rate is tried")
            break


def measure_growth(bench: Session, customers: Sequence[int], plan: Plan, say: Say) -> None:
    """A trial of Scoreline with so many customers, each size by itself."""
    for number in customers:
        made = bench.input(number, plan.transactions)
        bench.result.growth.append(trial(bench.environment, Scoreline(bench.choices.flags), made, plan, say))
        bench.save()


def measure_profiles(bench: Session, customers: int, plan: Plan, say: Say) -> None:
    """What a model that judges by profiles costs, against one that does not."""
    made = bench.input(customers, plan.transactions)
    found = profile_trials(bench.environment, made, plan, bench.choices.flags, say, bench.progress)
    bench.result.profiles = found


def measure_beside(bench: Session, customers: int, count: int, warm_up_seconds: float, say: Say) -> None:
    """What challenger, archive and drift cost."""
    made = bench.input(customers, count)
    bench.result.beside = beside(bench.environment, made, count, warm_up_seconds, bench.choices.flags, say)


def measure_soak(bench: Session, customers: int, rate: float, seconds: float, say: Say) -> None:
    made = bench.input(customers, STARTERS + round(rate * seconds))
    bench.result.soak = soak(bench.environment, made, rate, seconds, bench.choices.flags, say)


def measure_pieces(bench: Session, customers: int, rows: int, repetitions: int, say: Say) -> None:
    made = bench.input(customers, rows * (repetitions + 1))
    bench.result.pieces = pieces(bench.environment, made, rows, repetitions, say)


def measure_generator(bench: Session, customers: int, count: int, say: Say) -> None:
    bench.result.generator = full_speed(bench.environment, bench.input(customers, 0), count, say)


def measure_lane(bench: Session, customers: int, plan: LanePlan, say: Say) -> None:
    made = bench.input(customers, plan.transactions)
    bench.result.lane = lane(bench.environment, made, plan, say, bench.choices.flags)


def measure_lane_peer(bench: Session, customers: int, plan: LanePlan, say: Say) -> None:
    """The service's peer, into what `measure_lane` found."""
    if bench.result.lane is None:
        raise BenchError("the service itself was not measured")
    made = bench.input(customers, plan.transactions)
    if not made.model.exists():
        say("fitting scikit-learn's forest for the peers")
        write_peer_model(made, bench.progress)
    bench.result.lane.peer = lane_peer(bench.environment, made, plan, say)


def measure_large_start(bench: Session, plan: RobustnessPlan, say: Say) -> None:
    large_start(bench.environment, bench.input(plan.many, 0), _robustness(bench), say)


def measure_robustness(bench: Session, customers: int, plan: RobustnessPlan, say: Say) -> None:
    """A kill, promotions under load, and bad requests, each kept as soon as it is measured."""
    made, found = bench.input(customers, plan.transactions), _robustness(bench)
    for measure in (killed, promoted, nonsense):
        measure(bench.environment, made, plan, found, say)
        bench.save()


def _robustness(bench: Session) -> Robustness:
    bench.result.robustness = bench.result.robustness or Robustness()
    return bench.result.robustness


def measure_trials(
    bench: Session, customers: int, plan: Plan, peers: Sequence[Peer], peer_plan: Plan, say: Say
) -> None:
    """Scoreline, then the peers, over the same input."""
    made = bench.input(customers, max(plan.transactions, peer_plan.transactions))
    if not made.model.exists():
        say("fitting scikit-learn's forest for the peers")
        write_peer_model(made, bench.progress)
    systems: list[System] = [Scoreline(bench.choices.flags), *peers]
    for system in systems:
        own = plan if isinstance(system, Scoreline) else peer_plan
        bench.result.trials.append(trial(bench.environment, system, made, own, say))
        bench.save()


def chosen_peers(names: Sequence[str]) -> list[Peer]:
    """The peers whose script begins with one of the names, all where there are none. Raises BenchError for an unknown one."""
    for name in names:
        if not any(peer.script.startswith(name) for peer in PEERS):
            raise BenchError(f"no peer is called {name!r}: there are {', '.join(peer.script for peer in PEERS)}")
    return [peer for peer in PEERS if not names or any(peer.script.startswith(name) for name in names)]
