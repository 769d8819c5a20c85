"""The job's two phases, the fold and the judgement, come to what the engine does in one; without Spark around them."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from detection.decision import BASIS, NOT_JUDGED, lookup
from detection.engine import Engine, Outcome, Scored
from detection.ranges import Challenger, Versions
from detection.refusals import Problem
from detection.score_json import CLOSING_BYTES, closing, read
from detection.state_log import folded_or_untouched
from jobs.customer_fold import CustomerFold, Limits
from jobs.scoring import SentDecision, SentTrial, judged_by
from jobs.source.topic_limits import TopicLimits, room
from jobs.tasks import Tasks
from ml.features import Folded, position
from ml.features.customers import Customers
from ml.schema import Reader
from tests.detection import recorded_log
from tests.detection.extras_cases import DECLARED, judges_by_extras

LOG = recorded_log.messages()
LIMIT = 1_350
END = closing("spark", 3, 5)
PLAIN, BY_TABLE = Versions(7, 0, "recorded", "d1" * 32), Versions(7, 3, "recorded", "d1" * 32)


class Added:
    """In the place of an accumulator: all that was added."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> None:
        self.values.append(value)

    @property
    def together(self) -> dict[tuple[int, int], Any]:
        return {place: why for value in self.values for place, why in value.items()}


def tasks() -> Any:
    return Tasks(*(Added() for _ in range(3)), TopicLimits())  # type: ignore[arg-type]


def decisions() -> list[tuple[int, SentDecision]]:
    """By the model's own threshold on partition 0, by the table on partition 1."""
    model: Any = SimpleNamespace(value=recorded_log.model())
    first = int(position(np.array([1]), np.array([0]))[0])
    tables = ((0, PLAIN, None), (first, BY_TABLE, recorded_log.table()))
    return [(start, SentDecision.from_table(versions, model, table)) for start, versions, table in tables]


def folded(log: list[recorded_log.Message], of: Any, dead_letter_bytes: int = 1 << 20) -> pd.DataFrame:
    customers = Customers()

    def fold(identities: np.ndarray, events: np.ndarray) -> Folded:
        return folded_or_untouched(customers, identities, events)[1]

    frame = pd.DataFrame(
        {
            "partition": np.array([m.partition for m in log], np.int32),
            "offset": np.array([m.offset for m in log]),
            "kafka_time": np.array([m.kafka_time for m in log]),
            "key": [m.key for m in log],
            "value": [m.value for m in log],
        }
    )
    return CustomerFold("run", Limits(1 << 20, 24.0, dead_letter_bytes, 2), of)._worked(frame, fold)


def judged(basis: pd.Series, of: Any) -> pd.DataFrame:
    function: Any = judged_by(decisions(), of)
    (found,) = function.func(iter([basis]))
    return found


def engine_says(log: list[recorded_log.Message]) -> list[Outcome]:
    engine = Engine(Customers())
    plain, by_table = (sent.decision for _, sent in decisions())
    found: list[Outcome] = []
    for message in log:
        found += engine.work(recorded_log.taken([message]), by_table if message.partition else plain, END)
    return found


def test_the_two_phases_come_to_what_the_engine_does() -> None:
    told = tasks()
    rows = folded(LOG, told)
    found = judged(rows["basis"], told)
    expected = engine_says(LOG)
    assert len(rows) == len(found) == len(LOG)
    for message, row, by, came in zip(LOG, rows.itertuples(), found.itertuples(), expected, strict=True):
        assert row.key == message.key
        if isinstance(came, Scored):
            assert (row.value + by.json + END, by.is_anomaly) == (came.value, came.is_anomaly)
            assert row.problem is None
        else:
            assert (row.value, row.basis, by.json, by.is_anomaly) == (message.value, NOT_JUDGED, None, None)
            assert Reader(Problem).read(row.problem.encode()) == came
    assert not told.set_aside.values
    assert not told.failures.values


def test_a_dead_letter_that_is_too_large_is_set_aside() -> None:
    told = tasks()
    everything = folded(LOG, tasks())
    dead = everything.index[~everything["problem"].isna()]
    rows = folded(LOG, told, dead_letter_bytes=1)
    assert len(rows) == len(everything) - len(dead)
    assert set(told.set_aside.together) == {(LOG[row].partition, LOG[row].offset) for row in dead}


def test_a_score_that_no_topic_takes_is_set_aside_and_not_judged() -> None:
    told = tasks()._replace(limits=TopicLimits(scores=LIMIT, alerts=LIMIT))
    rows = folded(LOG, told)
    found, everything = judged(rows["basis"], told), judged(rows["basis"], tasks())
    aside = set(told.set_aside.together)
    assert aside
    for message, one, other in zip(LOG, found.itertuples(), everything.itertuples(), strict=True):
        is_aside = (message.partition, message.offset) in aside
        assert one.json == (None if is_aside else other.json)
        assert one.is_anomaly == (None if is_aside else other.is_anomaly)


def test_the_two_phases_come_to_what_the_engine_does_with_extras_too() -> None:
    log = with_extras()
    told = tasks()._replace(declared=DECLARED, refused_extras=Added())
    rows = folded(log, told)
    model: Any = SimpleNamespace(value=judges_by_extras())
    sent = SentDecision.from_table(PLAIN, model, None)
    function: Any = judged_by([(0, sent)], told)
    (found,) = function.func(iter([rows["basis"]]))
    engine = Engine(Customers(), declared=DECLARED)
    messages = recorded_log.taken(log)
    scores, marked = 0, 0
    for row, by, came in zip(
        rows.itertuples(), found.itertuples(), engine.work(messages, sent.decision, END), strict=True
    ):
        if isinstance(came, Scored):
            assert (row.value + by.json + END, by.is_anomaly) == (came.value, came.is_anomaly)
            scores, marked = scores + 1, marked + (b'"refused_extras"' in came.value)
        else:
            assert (by.json, by.is_anomaly) == (None, None)
    assert scores > len(log) / 2
    assert marked == sum(one.total for one in told.refused_extras.values) > 10
    first = next(iter(told.refused_extras.values[0].first.values()))
    assert first == 'V1: it must be a number from -1,000 to 1,000, but is "high"'


def with_extras() -> list[recorded_log.Message]:
    """The recorded log, with extras on its messages: some unknown, some that are none."""
    given = [b'"V1":%d.5' % k for k in range(-900, 900, 300)] + [b'"V1":"high"', b'"account_age":3', b'"V1":null', b""]
    out = []
    for k, message in enumerate(recorded_log.messages()):
        value, more = message.value, given[k % len(given)]
        if value is not None and value.endswith(b"}") and more:
            value = value[:-1] + b"," + more + b"}"
        out.append(msgspec.structs.replace(message, value=value, judged_by_table=False))
    return out


def test_the_two_phases_come_to_what_the_engine_does_with_a_model_on_trial_too() -> None:
    log = recorded_log.messages()[:1_000]
    champion = recorded_log.model()
    other = replace(champion, threshold=champion.threshold / 2, version=8)
    by = Challenger(8, "recorded", "e" * 64, share=0.7, judges=0.3, salt="trial")
    versions = msgspec.structs.replace(PLAIN, challenger=by)
    models: list[Any] = [SimpleNamespace(value=model) for model in (champion, other)]
    trial = SentTrial(by, models[1], lookup(other, None))
    sent = SentDecision.from_table(versions, models[0], None, trial=trial)
    told = tasks()
    rows = folded(log, told)
    function: Any = judged_by([(0, sent)], told)
    found = pd.concat(function.func(iter([rows["basis"][:300], rows["basis"][300:]])), ignore_index=True)
    came = Engine(Customers()).work(recorded_log.taken(log), sent.decision, END)
    seen = Counter[str]()
    for row, one, outcome in zip(rows.itertuples(), found.itertuples(), came, strict=True):
        if not isinstance(outcome, Scored):
            assert one.json is None
            continue
        assert (row.value + one.json + END, one.is_anomaly) == (outcome.value, outcome.is_anomaly)
        score = read(outcome.value)
        seen["judged"] += score.champion is not None
        seen["beside"] += score.challenger is not None
        seen["neither"] += score.champion is None and score.challenger is None
    assert set(seen) == {"judged", "beside", "neither"}


def test_a_score_that_only_the_trial_makes_too_large_is_judged_by_the_champion_alone() -> None:
    log = recorded_log.messages()[:200]
    champion = recorded_log.model()
    by = Challenger(8, "recorded", "e" * 64)
    model: Any = SimpleNamespace(value=champion)
    alone = SentDecision.from_table(PLAIN, model, None)
    both = alone._replace(
        versions=msgspec.structs.replace(PLAIN, challenger=by), trial=SentTrial(by, model, alone.thresholds)
    )
    rows = folded(log, tasks())
    sizes = np.frombuffer(b"".join(rows["basis"]), BASIS)["bytes"]

    def judged(sent: SentDecision, limit: int) -> tuple[list[bytes | None], Any]:
        told = tasks()._replace(limits=TopicLimits(scores=limit, alerts=limit))
        function: Any = judged_by([(0, sent)], told)
        (found,) = function.func(iter([rows["basis"]]))
        return found["json"].to_list(), told.set_aside.together

    parts, _ = judged(alone, 1 << 20)
    longest = max(int(size) + len(part) for size, part in zip(sizes, parts, strict=True) if part is not None)
    limit = next(limit for limit in range(longest, longest + 10_000) if room(limit) >= longest + CLOSING_BYTES)
    assert judged(alone, limit)[1] == {}
    came, aside = judged(both, limit)
    assert aside == {}
    assert sum(part == before for part, before in zip(came, parts, strict=True) if part is not None) > 0
    assert any(part is not None and b"challenger" in part for part in came)
