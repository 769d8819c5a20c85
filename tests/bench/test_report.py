"""Results on disk, the verdicts on them, and the reports that are made from them."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bench import parts
from bench.__main__ import app
from bench.errors import BenchError
from bench.figures import latency
from bench.parts import chosen_peers
from bench.quick import quick_figures
from bench.report import write_report
from bench.result import Result, Trial, load, save
from bench.session import Choices
from bench.targets import TARGETS, held, latency_ratio, most_held, soak_growth
from tests.bench.results import paced, trial, whole

PROFILE_TARGETS = (
    "with profiles over without, throughput",
    "with profiles over without, p50 grows by",
    "with profiles over without, p99 grows by",
)

BESIDE_TARGETS = (
    "with a challenger over without, throughput",
    "archive, challenger and drift: throughput",
)

LANE_TARGETS = (
    "/predict at 1,000 a second, p50",
    "/predict at 1,000 a second, p99",
    "/transactions at 1,000 a second, p50",
    "/transactions at 1,000 a second, p99",
    "/transactions at 1,000 a second, p99.9",
    "/transactions: highest rate, p99 ≤ 20 ms",
    "early alerts at 1,000 txn/s, p50",
    "early alerts at 1,000 txn/s, p99",
    "early alerts beside the Spark job, p50",
    "early alerts beside the Spark job, p99",
    "both lanes: records compared",
    "both lanes: records that differ",
    "service: start with 1 M customers",
    "service: memory after that",
    "service: kill to the first answer",
    "service: slowest request across promotions",
    "service: errors with 1 % bad requests",
)
"""Not measured in a result without the lane; tests/bench/test_lane.py has their figures."""


def figures(result: Result) -> dict[str, float | None]:
    return {target.name: target.value(result) for target in TARGETS}


def test_a_result_is_read_as_it_was_saved(tmp_path: Path) -> None:
    path = save(whole(), tmp_path / "results")
    assert path.name == "2026-05-01-123000-full.json"
    assert load(path) == whole()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_every_target_finds_its_figure() -> None:
    assert figures(whole()) == {
        "catch-up, detect alone": 50_000.0,
        "catch-up, detect + publish": 33_000.0,
        "latency to alerts at 1,000 txn/s, p50": 240.0,
        "latency to alerts at 1,000 txn/s, p99": 250.0,
        "sustained: highest rate held, p99 ≤ 3 s": 20_000.0,
        "textbook PySpark: throughput": 10.0,
        "textbook PySpark: p50 latency": 4.0,
        "1 M customers against 10 k, throughput": 0.75,
        "state per customer": 676.0,
        "fold alone, one thread": 4_000_000.0,
        "line protocol alone, one thread": None,
        "generator into the broker": 120_000.0,
        "memory of all processes, 1 M customers": pytest.approx(1_200 / 1_024),
        "soak: growth of memory after minute two": pytest.approx(10.0),
        "soak: growth of p99 after minute two": pytest.approx(0.0),
        **dict.fromkeys(PROFILE_TARGETS),
        **dict.fromkeys(BESIDE_TARGETS),
        **dict.fromkeys(LANE_TARGETS),
    }


def test_what_was_not_measured_has_no_figure() -> None:
    empty = msgspec.structs.replace(
        whole(), catch_up=None, sustained=[], growth=[], soak=None, pieces=[], trials=[], generator=None
    )
    assert set(figures(empty).values()) == {None}


class Rates:
    """A session that measures nothing: what comes of each rate is known before, and saved where it has been measured."""

    def __init__(self) -> None:
        self.result = msgspec.structs.replace(whole(), sustained=[])
        self.choices, self.environment, self.saved = Choices(), None, 0

    def input(self, customers: int, count: int) -> None:
        pass

    def save(self) -> None:
        self.saved += 1


def test_rates_rise_up_to_the_first_that_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parts, "sustained", lambda environment, made, rate, *_: paced(rate, 300, unaccounted=int(rate > 2_500))
    )
    bench, said = Rates(), []
    parts.measure_sustained(bench, 100, (3_000.0, 1_000.0, 2_000.0, 4_000.0), (1.0, 1.0), said.append)
    assert [run.rate for run in bench.result.sustained] == [1_000.0, 2_000.0, 3_000.0]
    assert bench.saved == 3
    assert said == ["3,000 transactions a second are not held: no higher rate is tried"]


def test_a_rate_is_held_where_nothing_is_missing_and_neither_lag_nor_latency_is_too_large() -> None:
    assert held(paced(1_000.0, 300))
    assert not held(paced(1_000.0, 300, unaccounted=1))
    assert not held(paced(1_000.0, 300, growth=50.0))
    assert not held(paced(1_000.0, 3_100))
    assert most_held(whole()) == 20_000.0


def test_growth_in_a_soak_is_the_last_minute_over_minute_two() -> None:
    soak = whole().soak
    assert soak is not None
    assert soak_growth(soak) == (pytest.approx(0.1), pytest.approx(0.0))
    soak.paced.seconds = 100.0
    assert soak_growth(soak) is None


def test_the_report_shows_every_part_and_its_pictures(tmp_path: Path) -> None:
    path = save(whole(), tmp_path)
    text = write_report(load(path), path).read_text()
    for heading in ("Targets", "Catch-up", "Steady rates", "Growth", "Soak", "Pieces", "Peers", "Generator"):
        assert f"## {heading}" in text
    assert "| catch-up, detect + publish | 33,000 txn/s | 30,000: met (+10 %) | 60,000: not met (-45 %) |" in text
    assert "| textbook PySpark | 10 | 4 |" in text
    assert "it moved" in text
    lines = text.splitlines()
    assert all(a.count("|") == b.count("|") for a, b in pairwise(lines) if a.startswith("|") and b.startswith("|"))
    names = {file.name.removeprefix(f"{path.stem}-") for file in tmp_path.glob("*.png")}
    assert names == {f"{name}.png" for name in ("latency", "throughput", "cpu", "peers", "pieces", "growth", "soak")}
    assert all(f"({file.name})" in text and file.stat().st_size > 5_000 for file in tmp_path.glob("*.png"))


def test_a_report_of_a_run_that_failed_says_what_failed(tmp_path: Path) -> None:
    failed = msgspec.structs.replace(
        whole(),
        trials=[Trial("Scoreline", 100, failed="it has ended")],
        catch_up=None,
        sustained=[],
        growth=[],
        soak=None,
        failures={"soak": "no more disk"},
    )
    path = save(failed, tmp_path)
    text = write_report(failed, path).read_text()
    assert "- Scoreline: it has ended" in text
    assert "- soak: no more disk" in text


def test_the_report_command_makes_the_report_again(tmp_path: Path) -> None:
    path = save(whole(), tmp_path)
    done = CliRunner().invoke(app, ["report", str(path)])
    assert (done.exit_code, done.stdout.strip()) == (0, str(path.with_suffix(".md")))


def test_quick_ends_with_these_figures() -> None:
    result = msgspec.structs.replace(whole(), catch_up=None, sustained=[])
    assert msgspec.to_builtins(quick_figures(result)) == {
        "catch_up_txn_per_s": 40_000.0,
        "latency_ms_p50_at_1000": 250.0,
        "latency_ms_p99_at_1000": 260.0,
        "throughput_ratio_to_textbook_pyspark": 10.0,
        "latency_p50_ratio_to_textbook_pyspark": 4.0,
        "cpu_us_per_txn": 35.0,
        "state_bytes_per_customer": 676.0,
        "generator_txn_per_s": 120_000.0,
    }


def test_a_figure_that_could_not_be_measured_is_null() -> None:
    alone = msgspec.structs.replace(whole(), trials=[trial("Scoreline", 40_000.0, 250)], generator=None)
    found = quick_figures(alone)
    assert found.throughput_ratio_to_textbook_pyspark is None
    assert found.generator_txn_per_s is None


@pytest.mark.parametrize(("unaccounted", "ratio"), [(1_000, 360.0), (0, None)])
def test_a_peer_of_which_nothing_came_out_has_a_median_of_at_least_half_of_the_seconds(
    unaccounted: int, ratio: float | None
) -> None:
    result = whole()
    silent = msgspec.structs.replace(paced(1_000.0, 1, unaccounted=unaccounted), scores=latency([]))
    result.trials[1].paced = silent  # 180 s of sending, of which the median transaction had waited for 90 at their end
    assert latency_ratio(result, "textbook PySpark") == ratio  # to Scoreline's 250 ms


def test_peers_are_named_by_the_beginning_of_their_script() -> None:
    assert [peer.name for peer in chosen_peers(["textbook"])] == ["textbook PySpark"]
    assert len(chosen_peers([])) == 3
    with pytest.raises(BenchError, match=r"no peer is called 'flink': there are textbook_pyspark\.py"):
        chosen_peers(["flink"])
