"""A model on trial: it scores beside the champion, judges those whom it is given, and costs the champion nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.decision import Decision, Trial, lookup
from detection.durable_folder import DurableFolder
from detection.engine import Engine, Scored
from detection.ledger import Ledger
from detection.ranges import Challenger, Entry, Range, Versions, merged
from detection.score_json import closing, read
from detection.trial import chosen
from ml.arrays import Floats
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.gate.shadow import agreement
from ml.model import Model
from tests.detection import recorded_log

LOG = recorded_log.taken(recorded_log.messages()[:500])
END = closing("early", None, 0)
LOG_AMOUNT, LOW, HIGH = FEATURES.index("log_amount"), 3.0, 4.0
KNOWN = [5, 15, 17, 20, 22, 29, 30, 33, 35, 38]
CHAMPION = Versions(7, name="recorded", model_digest="c" * 64)


class Constant:
    """Scores everything the same."""

    def __init__(self, score: float) -> None:
        self.score = score

    def anomaly_score(self, features: Floats) -> Floats:
        return np.full(len(features), self.score)

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        return features - typical


class Failing(Constant):
    """Can't score rows whose log amount is above a limit; says NaN where it is below another."""

    def anomaly_score(self, features: Floats) -> Floats:
        if (features[:, LOG_AMOUNT] > HIGH).any():
            raise ValueError("too much")
        return np.where(features[:, LOG_AMOUNT] < LOW, np.nan, self.score)


def with_scorer(scorer: Any) -> Model:
    return replace(recorded_log.model(), scorer=scorer)


def decision(model: Model | None = None, **terms: Any) -> Decision:
    """The champion's, with a model on trial where one is given."""
    champion = recorded_log.model()
    if model is None:
        return Decision.from_table(CHAMPION, champion, None)
    by = Challenger(8, "recorded", "d" * 64, **terms)
    versions = msgspec.structs.replace(CHAMPION, challenger=by)
    return Decision.from_table(versions, champion, None, trial=Trial(by, model, lookup(model, None)))


def values(by: Decision, end: bytes = END) -> list[bytes | None]:
    """The scores of the recorded log, None where there is none."""
    outcomes = Engine(Customers()).work(LOG, by, end)
    return [outcome.value if isinstance(outcome, Scored) else None for outcome in outcomes]


def without(value: bytes, name: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(value)
    plain.pop(name, None)
    return plain


def test_without_a_challenger_a_score_has_the_same_bytes_as_before() -> None:
    plain = values(decision())
    assert any(plain)
    assert not any(b"challenger" in value for value in plain if value)


def test_a_challengers_score_and_verdict_stand_beside_the_champions_and_change_nothing_of_it() -> None:
    model = with_scorer(Constant(0.99))
    for alone, both in zip(values(decision()), values(decision(model)), strict=True):
        assert (alone is None) == (both is None)
        if alone is None or both is None:
            continue
        assert without(both, "challenger") == json.loads(alone)
        said = read(both).challenger
        assert said is not None
        assert (said.model_name, said.model_version, said.model_digest) == ("recorded", 8, "d" * 16)
        assert (said.anomaly_score, said.is_anomaly, said.threshold) == (0.99, True, model.threshold)


def test_a_challenger_that_fails_or_says_nan_costs_its_own_judgement_alone_whatever_the_batch() -> None:
    alone, both = values(decision()), values(decision(with_scorer(Failing(0.99))))
    one_by_one: list[bytes | None] = []
    engine = Engine(Customers())
    for row in range(len(LOG.values)):
        message = type(LOG)(*(column[row : row + 1] for column in LOG))
        (outcome,) = engine.work(message, decision(with_scorer(Failing(0.99))), END)
        one_by_one.append(outcome.value if isinstance(outcome, Scored) else None)
    assert one_by_one == both
    said = 0
    for before, value in zip(alone, both, strict=True):
        if before is None or value is None:
            assert before == value
            continue
        assert without(value, "challenger") == json.loads(before)
        score = read(value)
        assert (score.challenger is not None) == (LOW <= score.features[LOG_AMOUNT] <= HIGH)
        said += score.challenger is not None
    assert 0 < said < len([value for value in both if value])


def test_whom_the_challenger_judges_it_judges_alone_with_the_champion_beside_it() -> None:
    model = with_scorer(Constant(0.99))
    alone, both = values(decision()), values(decision(model, judges=0.5, salt="s"))
    roles = set()
    for before, value in zip(alone, both, strict=True):
        if before is None or value is None:
            continue
        score, champion = read(value), read(before)
        judged_by_it = score.model_version == 8
        roles.add(judged_by_it)
        beside = score.champion if judged_by_it else score.challenger
        assert (score.champion is None) == (not judged_by_it)
        assert (score.challenger is None) == judged_by_it
        assert beside is not None
        if judged_by_it:
            assert (score.anomaly_score, score.is_anomaly, score.model_digest) == (0.99, True, "d" * 16)
            assert (beside.anomaly_score, beside.threshold) == (champion.anomaly_score, champion.threshold)
            assert len(score.reasons) > 0
        else:
            assert without(value, "challenger") == json.loads(before)
    assert roles == {False, True}


def test_what_a_judging_challenger_fails_for_the_champion_judges() -> None:
    alone, both = values(decision()), values(decision(with_scorer(Failing(0.99)), judges=1.0))
    for before, value in zip(alone, both, strict=True):
        if before is None or value is None:
            assert before == value
            continue
        score = read(value)
        assert (score.model_version == 8) == (LOW <= score.features[LOG_AMOUNT] <= HIGH)
        if score.model_version == 7:
            assert json.loads(value) == json.loads(before)


def test_a_share_of_the_customers_is_met_and_always_the_same_ones() -> None:
    model = with_scorer(Constant(0.99))
    met: dict[float, set[str]] = {}
    for share in (0.2, 0.6):
        of: dict[str, set[bool]] = {}
        for value in filter(None, values(decision(model, share=share, salt="s"))):
            score = read(value)
            of.setdefault(score.customer_id, set()).add(score.challenger is not None)
        assert all(len(answers) == 1 for answers in of.values())
        met[share] = {customer for customer, answers in of.items() if answers == {True}}
        assert met[share]
        assert len(met[share]) < len(of)
    assert met[0.2] < met[0.6]


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.text(max_size=5))
def test_a_share_is_as_large_as_it_says_and_a_part_of_every_larger_one(one: float, other: float, salt: str) -> None:
    customers = np.random.default_rng(1).integers(0, 2**32, 20_000, dtype=np.uint32)
    low, high = sorted((one, other))
    few, many = chosen(customers, low, salt), chosen(customers, high, salt)
    assert abs(few.mean() - low) < 0.02
    assert not (few & ~many).any()


def test_another_salt_draws_others() -> None:
    customers = np.arange(20_000, dtype=np.uint32)
    both = chosen(customers, 0.5, "one") & chosen(customers, 0.5, "two")
    assert 0.22 < both.mean() < 0.28


def test_the_customers_of_a_share_are_the_same_on_every_machine() -> None:
    assert np.flatnonzero(chosen(np.arange(40, dtype=np.uint32), 0.2, "trial")).tolist() == KNOWN


def test_the_gate_finds_live_and_offline_scores_equal_and_notices_one_that_is_not() -> None:
    model = replace(recorded_log.model(), version=8, digest="d" * 64)
    log = recorded_log.taken(recorded_log.messages()[:3_000])
    by = Challenger(8, "recorded", "d" * 64, judges=0.3, salt="s")
    versions = msgspec.structs.replace(CHAMPION, challenger=by)
    decided = Decision.from_table(versions, recorded_log.model(), None, trial=Trial(by, model, lookup(model, None)))
    outcomes = Engine(Customers()).work(log, decided, END)
    live = [read(outcome.value) for outcome in outcomes if isinstance(outcome, Scored)]
    check = agreement(model, live, most=1_000.0, budget=0.005)
    assert check.passed, check
    assert f"{len(live):,} live scores, 0 differ" in check.figures
    assert agreement(model, live, most=1e-9, budget=0.005).passed is False
    assert agreement(replace(model, digest="f" * 64), live, 1.5, 0.005).passed is None
    said = next(score for score in live if score.challenger is not None)
    assert said.challenger is not None
    said.challenger.anomaly_score += 1e-12
    assert "1 differ" in agreement(model, live, most=1_000.0, budget=0.005).figures


# The ledger


@pytest.fixture
def on_trial() -> Versions:
    return msgspec.structs.replace(CHAMPION, challenger=Challenger(8, "m", "d" * 64, 3, "t" * 16, 0.5, 0.1, "salt"))


def test_the_ledger_names_the_challenger_its_shares_and_its_salt_and_ranges_keep_them(on_trial: Versions) -> None:
    entries = [Entry.from_versions(n, on_trial, {"0": n}, {"0": n + 1}) for n in range(2)]
    again = msgspec.json.decode(msgspec.json.encode(entries[0]), type=Entry)
    assert again.versions == on_trial
    (together,) = merged([], entries)
    assert msgspec.json.decode(msgspec.json.encode(together), type=Range).versions == on_trial
    plain = Entry.from_versions(2, CHAMPION, {"0": 2}, {"0": 3})
    assert [piece.versions for piece in merged([], [*entries, plain])] == [on_trial, CHAMPION]


def test_what_the_challenger_judged_was_judged_by_its_own_model_and_table(on_trial: Versions) -> None:
    assert on_trial.by_challenger == Versions(8, 3, "m", "d" * 64, "t" * 16)
    assert CHAMPION.by_challenger is None


def test_an_entry_of_an_earlier_release_has_no_challenger() -> None:
    plain = msgspec.to_builtins(Entry.from_versions(0, CHAMPION, {"0": 0}, {"0": 1}))
    del plain["challenger"]
    assert msgspec.convert(plain, Entry).versions == CHAMPION


def test_what_the_ledger_names_beside_the_champion_is_not_deleted(tmp_path: Path, on_trial: Versions) -> None:
    ledger = Ledger(DurableFolder.on_disk(tmp_path))
    ledger.record(Entry.from_versions(0, on_trial, {"0": 0}, {"0": 1}))
    assert ledger.models_in_single_entries() == {"c" * 64, "d" * 64}
    assert ledger.tables().thresholds == {f"3-{'t' * 16}"}
