"""The Fraud Detection Handbook's protocol: its weeks, who is left out, its figures, and the command that prints them."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from generator.handbook.world import Handbook, HandbookWorld
from generator.history import Origin
from generator.history import write_history as write_generated
from generator.labels import PERFECT
from ml.arrays import Flags, Floats
from ml.dataset.split import Split
from ml.detectors import DETECTORS, Detector, TooFewRows
from ml.evaluation.contest import Terms
from ml.evaluation.data import Data, outline, read
from ml.evaluation.errors import EvaluationError
from ml.evaluation.protocol import JudgingPart, Outcome, Protocol, evaluate_by, judged_by, known, outcome_of
from ml.evaluation.protocol_report import last_line, rows, scenario_names, scenario_rows
from ml.features import DAY, FEATURES
from ml.features.events import hash_id
from ml.options import protocol_from
from tests.ml.evaluation_cases import START, write_history, write_labels

FIRST_DAY = START // DAY
PROTOCOL = Protocol(fit_end=date(2026, 3, 16))  # two weeks after the history's first day
FIT, DELAY, TEST, END = 7, 14, 21, 28  # where its parts begin, in days of the history
TERMS = Terms(0.01, None, 0)
AMOUNT = FEATURES.index("log_amount")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history")
    write_history(path)
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    return read(outline(folder), PROTOCOL.split, 0)


@dataclass(frozen=True)
class ByAmount:
    """Takes the larger amount for the stranger one; counts what it was fitted to."""

    fitted: list[tuple[int, int, int]]
    name: str = "by_amount"
    needs_labels: bool = True

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "ByAmount":
        self.fitted.append((len(features), int(is_fraud.sum()), seed))
        return self

    def anomaly_score(self, features: Floats) -> Floats:
        return features[:, AMOUNT] / 100


def test_the_books_weeks_are_the_default() -> None:
    moments = [datetime(2018, *day, tzinfo=UTC) for day in ((7, 25), (8, 1), (8, 8), (8, 15))]
    assert Protocol().split == Split(*(int(moment.timestamp() * 1000) for moment in moments))


def test_more_days_to_fit_begin_earlier_and_leave_the_test_where_it_is() -> None:
    week = Protocol().split
    assert Protocol(fit_days=42).split == replace(week, fit_start=week.fit_start - 35 * DAY)


def test_each_part_has_its_days(data: Data) -> None:
    for part, first, end in ((data.fit, FIT, DELAY), (data.gap, DELAY, TEST), (data.test, TEST, END)):
        assert set(part.day - FIRST_DAY) == set(range(first, end))


def test_customers_known_as_compromised_are_left_out_from_the_day_on_which_they_are_known(data: Data) -> None:
    left_out = known(data.outline, PROTOCOL, data.test)
    robbed = {hash_id(f"c{day}"): day for day in range(40)}  # one customer a day
    for row, (customer, day) in enumerate(
        zip(data.test.customer.tolist(), (data.test.day - FIRST_DAY).tolist(), strict=True)
    ):
        # the label of a fraud arrives seven days later, within that day
        assert left_out[row] == (customer in robbed and FIT <= robbed[customer] <= day - 8)
    assert 0 < left_out.sum() < len(left_out)


@pytest.mark.parametrize(("days", "first"), [(0, DELAY), (3, 11), (14, 0), (30, 0)])
def test_how_far_back_a_known_fraud_counts_can_be_chosen(data: Data, days: int, first: int) -> None:
    protocol = msgspec.structs.replace(PROTOCOL, known_days=days)
    left_out = known(data.outline, protocol, data.test)
    last_day = data.test.day - FIRST_DAY == END - 1
    expected = {hash_id(f"c{day}") for day in range(first, END - 8)}
    assert set(data.test.customer[left_out & last_day].tolist()) <= expected
    assert not set(data.test.customer[~left_out & last_day].tolist()) & expected


def test_a_fraud_that_is_never_reported_leaves_nobody_out(tmp_path: Path) -> None:
    made = write_history(tmp_path)
    write_labels(tmp_path / "labels.parquet", made[:10], DAY)
    seen = outline(tmp_path)
    assert not known(seen, PROTOCOL, read(seen, PROTOCOL.split, 0).test).any()


def test_figures_are_means_over_seeds_on_what_is_not_left_out(data: Data) -> None:
    detector = ByAmount([])
    found = judged_by(PROTOCOL, data, [cast(Detector, detector)], (3, 4))
    left_out = known(data.outline, PROTOCOL, data.test)
    assert (found.transactions, found.left_out) == ((~left_out).sum(), left_out.sum())
    assert found.frauds == 21  # three a day, and nobody robbed is known yet
    assert detector.fitted == [(len(data.fit), 21, seed) for seed in (3, 4)]
    outcome = found.detectors["by_amount"]
    assert isinstance(outcome, Outcome)
    assert outcome.figures["auc"].value == 1.0
    assert outcome.figures["average_precision"].value == 1.0
    assert outcome.figures["card_precision_at_100"].value == pytest.approx(0.01)  # one robbed customer a day
    assert found.card_precision_ceiling == pytest.approx(0.01)
    assert outcome.scenarios["theft"].value == 1.0


def test_a_scenarios_auc_does_not_count_the_frauds_of_others(data: Data) -> None:
    test = JudgingPart.from_data(data, PROTOCOL)
    half = np.zeros(len(test.part), np.bool_)
    half[np.flatnonzero(test.is_fraud)[::2]] = True
    both = msgspec.structs.replace(test, scenarios={"found": half, "missed": test.is_fraud & ~half})
    scores = np.where(half, 1.0, np.where(test.is_fraud, 0.0, 0.5))
    outcome = outcome_of(data, both, cast(Detector, DetectorOf(scores)), (0,))
    assert (outcome.scenarios["found"].value, outcome.scenarios["missed"].value) == (1.0, 0.0)


@dataclass(frozen=True)
class DetectorOf:
    """Gives the scores that it was made with."""

    scores: Floats
    name: str = "given"

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "DetectorOf":
        return self

    def anomaly_score(self, features: Floats) -> Floats:
        return self.scores


def test_a_detector_that_can_not_be_fitted_says_why(data: Data) -> None:
    class Refuses(ByAmount):
        def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "ByAmount":
            raise TooFewRows("too few")

    found = judged_by(PROTOCOL, data, [cast(Detector, Refuses([]))], (0,))
    assert found.detectors == {"by_amount": "too few"}
    assert rows(found)[0] == ["by_amount", "too few", "", ""]


@pytest.mark.parametrize(
    "protocol", [Protocol(), Protocol(fit_end=date(2026, 3, 5)), Protocol(fit_end=date(2026, 4, 2))]
)
def test_a_history_of_other_days_is_refused(folder: Path, protocol: Protocol) -> None:
    with pytest.raises(
        EvaluationError, match=r"needs transactions from .* but the history has 2026-03-02 to 2026-04-10"
    ):
        evaluate_by(protocol, folder, [], TERMS)


@pytest.mark.parametrize("days", [{"fit_days": 0}, {"delay_days": -1}, {"test_days": 0}, {"known_days": -1}])
def test_impossible_days_are_refused(days: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(days))} has to be at least"):
        Protocol(**days)  # type: ignore[arg-type]  # any of the fields


def test_the_handbooks_world_is_judged_by_its_protocol(tmp_path: Path) -> None:
    handbook = Handbook(customers=200, terminals=400, side=20.0, large_amount=150.0)
    origin = Origin(5, 200, handbook.first + timedelta(days=36), 36, reporting=PERFECT, handbook=handbook)
    write_generated(tmp_path, origin, HandbookWorld.make(5, handbook))
    protocol = Protocol(fit_end=date(2018, 4, 22))
    found = evaluate_by(protocol, tmp_path, [DETECTORS["isolation_forest"]], TERMS, 2)
    assert found.fit_frauds > 20
    assert found.left_out > 0
    assert scenario_names(found) == ["large_amount", "leaked_card", "terminal_taken_over"]
    outcome = found.detectors["isolation_forest"]
    assert isinstance(outcome, Outcome)
    assert cast(float, outcome.scenarios["leaked_card"].value) > 0.8
    last = last_line(found)
    assert last["protocol"] == "handbook"
    assert last["terms"]["fit_end"] == "2018-04-22"
    assert set(last["isolation_forest"]) == {"auc", "average_precision", "card_precision_at_100"}
    assert last["published"]["random_forest"]["auc"] == (0.867, 0.867)
    assert [row[0] for row in rows(found)] == [
        "isolation_forest",
        "  published: isolation_forest",
        "(perfect)",
    ]
    assert rows(found)[1][1:] == ["0.808–0.826", "0.164–0.261", "–"]
    assert len(scenario_rows(found)[0]) == 4


def test_options_make_the_protocol() -> None:
    given: dict[str, Any] = {"fit_days": 42, "delay_days": 14.0, "test_days": None, "known_days": 7}
    made = protocol_from("handbook", datetime(2018, 9, 1), **given)
    assert made == Protocol(fit_end=date(2018, 9, 1), fit_days=42, delay_days=14, known_days=7)
    assert protocol_from(None, None, delay_days=3.0) is None
