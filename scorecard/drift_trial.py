"""How well drift is noticed where the truth is known: false alarms in ordinary traffic, and the time until a shift is found."""

import tempfile
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from generator.history import Origin, write_history
from generator.population import Population, make_population
from generator.runs import Run, usual_share
from generator.stream import transactions
from ml.dataset.history import History
from ml.drift.alarms import Alarm, episodes, look
from ml.drift.counts import BLOCK, Counts, Rows, block_of, merged
from ml.drift.policy import DriftPolicy
from ml.drift.reference import DriftReference
from ml.features import DAY, MINUTE
from ml.features.currencies import default_rates, keep_roundness
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.model import Model
from ml.progress import Progress, silent
from ml.segments import segment_names
from ml.training.policy import Policy
from ml.training.train import train

LIVE_START: Final = datetime(2026, 5, 4, tzinfo=UTC)
"""Where every training ends and the days that judge begin: the same seed must give the same figures on any day."""

SHIFTS: Final = {"sudden": 0.0, "over 3 days": 3.0, "over 7 days": 7.0}
"""The drifts that have to be found: over how many days each becomes complete."""

SHIFT_DAY: Final = 9
_SHIFT_HOUR: Final = 14
_PATIENCE: Final = 6


@dataclass(frozen=True)
class Size:
    """How much is simulated: customers of a bank, days that are trained on, days of ordinary traffic that judge."""

    customers: int = 20_000
    train_days: int = 28
    days: int = 60


class Noticed(msgspec.Struct, frozen=True):
    """The first alarm after a shift: minutes after it began, and by what; None where there was none within six days."""

    minutes: float | None
    by: str | None = None
    against: str | None = None


class DriftTrial(msgspec.Struct, frozen=True):
    """One seed: of its ordinary days the transactions, windows' worth of days, and what was raised without a cause; and when
    each shift of SHIFTS was noticed."""

    seed: int
    run: str
    transactions: int
    days: int
    false_alarms: int
    false: tuple[Alarm, ...]
    noticed: dict[str, Noticed]


def drift_trial(seed: int, run: Run, size: Size, policy: DriftPolicy, progress: Progress = silent) -> DriftTrial:
    """Train on a bank's past, and watch its ordinary days; in a standard run, also what comes if a shift begins."""
    population = make_population(seed, size.customers)
    model, customers = _trained(population, run, size, progress)
    reference = DriftReference.of_model(model)
    ordinary: list[Counts] = []
    noticed: dict[str, Noticed] = {}
    stage = f"{run.scenario}, seed {seed}"
    for day, counts in enumerate(islice(_days(population, LIVE_START, run, (customers, model, reference)), size.days)):
        progress(stage, day, size.days)
        ordinary.append(counts)
        if day + 1 == SHIFT_DAY and run.scenario == "standard":
            for name, days in SHIFTS.items():
                known = deepcopy(customers), model, reference
                noticed[name] = _noticed(population, days, known, ordinary, policy)
    progress(stage, size.days, size.days)
    whole = merged(ordinary)
    begin = block_of(LIVE_START)
    found = look(whole, reference, policy, begin, begin + size.days * DAY // BLOCK).alarms
    return DriftTrial(seed, run.scenario, int(whole.rows.sum()), size.days, len(episodes(found)), found, noticed)


def _trained(population: Population, run: Run, size: Size, progress: Progress) -> tuple[Model, CustomerTable]:
    """A forest without labels, as `ml train` makes it, and the customers as they are when its history ends."""
    with tempfile.TemporaryDirectory(prefix="scoreline-drift-") as folder:
        origin = Origin(population.seed, size.customers, LIVE_START, size.train_days, run)
        stage = f"simulating the past of seed {population.seed}"
        write_history(Path(folder), origin, population, lambda _, share: progress(stage, share, 1.0))
        progress(stage, 1.0, 1.0)
        made = train(History.open(Path(folder), default_rates()), Policy("drift"), progress=progress)
    return made.model, made.customers


def _days(
    population: Population, start: datetime, run: Run, known: tuple[CustomerTable, Model, DriftReference]
) -> Iterator[Counts]:
    """The counts of each day from `start` on, without end."""
    hours = transactions(population, start, run)
    while True:
        yield _counted(pa.concat_tables([hour.transactions for hour in islice(hours, 24)]), *known)


def _counted(table: pa.Table, customers: CustomerTable, model: Model, reference: DriftReference) -> Counts:
    """Folded and scored as a job does it."""
    events = events_from_arrow(table, default_rates())
    features = customers.fold(table["customer_id"], events).features
    keep_roundness(features, events["amount"], table["amount"].to_numpy())
    scores = model.anomaly_score(features)
    rows = Rows(events["time"], features, scores, segment_names(table), model.is_anomaly(scores))
    return Counts.counted(reference.bins, rows)


def _noticed(
    population: Population,
    days: float,
    known: tuple[CustomerTable, Model, DriftReference],
    before: Sequence[Counts],
    policy: DriftPolicy,
) -> Noticed:
    """When a shift is noticed that begins on the afternoon of day SHIFT_DAY, after these ordinary days."""
    morning = LIVE_START + timedelta(days=SHIFT_DAY)
    begins = morning + timedelta(hours=_SHIFT_HOUR)
    seen = [*before]
    first = block_of(morning)
    for day, counts in enumerate(
        islice(_days(population, morning, Run("drift", begins=begins, drift_days=days), known), _PATIENCE)
    ):
        seen.append(counts)
        end = first + (day + 1) * DAY // BLOCK
        for alarm in look(merged(seen), known[2], policy, first - DAY // BLOCK, end).alarms:
            minutes = (alarm.since - block_of(begins) * BLOCK) / MINUTE
            if minutes > 0:
                return Noticed(minutes, alarm.finding.what, alarm.finding.against)
    return Noticed(None)


def ordinary_run(scenario: str) -> Run:
    """A run without a shift: `standard` or `calm`."""
    return Run(scenario, usual_share(scenario))  # type: ignore[arg-type]
