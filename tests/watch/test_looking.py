"""The look at a real lake and a real registry; and the command line over both."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lake.place import Place
from ml.arrays import Floats
from ml.features import FEATURES
from ml.model import Model
from ml.registry.model_store import ModelStore, Note, Terms
from ml.schema import Score
from settings import Settings
from tests.lake.written import START_MS, some_features, write_labels, write_scores
from tests.ml.conftest import isolation_scorer
from watch import __main__ as command_line
from watch.journal import STATUS, Folder
from watch.lake_window import compared_from, live_scores, past_of, write_window
from watch.observing import Observer
from watch.policy import Retrain, WatchPolicy
from watch.seen import Live, Pair, Trying
from watch.state import State

HOUR = 3_600_000
N = 240


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Ten days of hourly scores: version 1 judged, version 2 stood beside it from the middle on; each fifth is fraud."""
    place = Place(str(tmp_path / "lake"))
    time = np.arange(N) * HOUR
    beside = [_beside(2, number % 10 == 0) if number >= N // 2 else None for number in range(N)]
    write_scores(
        place,
        time,
        some_features(N, 1),
        is_anomaly=np.arange(N) % 15 == 0,
        challenger=beside,
        fold_version=np.full(N, 2, np.int32),
        key_mismatch=np.zeros(N, np.bool_),
        scored_at=START_MS + time + 40,
        schema_version=np.full(N, 2, np.int32),
        model_digest=["aa"] * N,
        threshold_version=np.zeros(N, np.int32),
        profile_version=np.zeros(N, np.int32),
    )
    frauds = np.arange(0, N, 5)
    write_labels(place, frauds, frauds * HOUR + HOUR, ["chargeback"] * len(frauds), [True] * len(frauds))
    return place


def _beside(version: int, is_anomaly: bool) -> str:
    said = {"model_name": "scoreline", "model_version": version, "model_digest": "bb", "anomaly_score": 0.5}
    return json.dumps({**said, "threshold": 0.6, "is_anomaly": is_anomaly})


@pytest.fixture
def judged(registry: ModelStore, small_model: Model, features: Floats, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Version 1 is the champion, version 2 is on trial; nothing answers where Kafka should be."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    registry.register(small_model, features, {"history_until": "2026-03-01T00:00:00+00:00"})
    registry.promote(1, Note("a person"))
    registry.register(replace(small_model, scorer=isolation_scorer(features, 5, trees=3)), features)
    registry.challenge(2, Note("a person"), Terms(judges=0.1))
    return registry


def test_a_look_counts_what_the_lake_holds_and_says_what_it_can_not_see(
    judged: ModelStore, place: Place, tmp_path: Path
) -> None:
    observer = Observer(judged, place, Settings.from_command_line([]), Folder(tmp_path / "watch"))
    half = START_MS + N // 2 * HOUR - 1
    state = State(champion=1, changed=half, trial=2, trial_since=half)
    seen = observer.look(state, WatchPolicy(retrain=Retrain(recall_below=0.5, window_days=5)))
    assert (seen.champion, seen.previous, seen.trial) == (1, None, Trying(2, 1.0, 0.1))
    assert seen.event_now == START_MS + (N - 1) * HOUR
    assert seen.learned_until == START_MS - 24 * HOUR
    assert (seen.new_frauds, seen.known_frauds) == (N // 5, N // 10)
    assert seen.live == Live(N // 2, 8, 40.0)
    assert seen.tried == Live(N // 2, 12)
    assert seen.pair == Pair()  # version 2 is not the champion before
    assert seen.recall is not None
    assert seen.recall[0] == pytest.approx(16 / 48)
    assert [what.split(" can't be seen")[0] for what in seen.blind] == ["drift", "Kafka"]


def test_both_models_are_compared_on_the_frauds_that_one_of_them_found_alone(
    judged: ModelStore, place: Place, tmp_path: Path
) -> None:
    judged.promote(2, Note("a person"))
    judged.promote(1, Note("a person"))
    observer = Observer(judged, place, Settings.from_command_line([]), Folder(tmp_path / "watch"))
    seen = observer.look(State(champion=1, changed=0), WatchPolicy())
    frauds = [k for k in range(N // 2, N) if k % 5 == 0]
    ours = sum(k % 15 == 0 and k % 10 != 0 for k in frauds)
    assert seen.pair == Pair(ours, sum(k % 10 == 0 and k % 15 != 0 for k in frauds))


def test_a_window_of_the_lake_is_a_history_in_the_order_of_time(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "window"
    folder.mkdir()
    rows = write_window(place, START_MS + HOUR, START_MS + 20 * HOUR, folder)
    table = pq.read_table(folder / "transactions.parquet")
    assert rows == table.num_rows == 20
    assert table["event_time"].to_pylist() == sorted(table["event_time"].to_pylist())
    assert pq.read_table(folder / "labels.parquet").num_rows == 4  # what was known by then


def test_days_that_models_are_compared_on_have_a_past_before_them(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "window"
    folder.mkdir()
    end = START_MS + (N - 1) * HOUR
    since = end - 7 * N * HOUR // 20
    write_window(place, past_of(since, end), end, folder)
    assert past_of(since, end) == end - N * HOUR // 2  # three tenths of what is read, as in a training
    assert compared_from(folder, since, end) == pytest.approx(since, abs=HOUR)
    everything = START_MS - 100 * HOUR
    write_window(place, past_of(everything, end), end, folder)
    assert compared_from(folder, everything, end) == START_MS + round(0.3 * (end - START_MS))  # the lake has no more


def test_live_scores_of_the_lake_are_scores_again(place: Place) -> None:
    found = live_scores(place, 2)
    assert len(found) == N // 2
    assert all(isinstance(score, Score) and score.challenger is not None for score in found)
    assert len(found[0].features) == len(FEATURES)
    assert live_scores(place, 3) == []


Said = tuple[int, str, str]
"""(exit status, standard output, standard error)."""


@pytest.fixture
def scoreline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`scoreline watch` in this process: a process of its own for each command imports all libraries again."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["scoreline watch", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said, warned = capsys.readouterr()
        if isinstance(ended.value.code, str):
            return 1, said, warned + ended.value.code + "\n"
        return ended.value.code or 0, said, warned

    return run


def test_the_command_line_says_what_it_would_do_does_it_once_and_shows_it(
    judged: ModelStore, place: Place, tmp_path: Path, scoreline: Callable[..., Said]
) -> None:
    judged.withdraw(Note("a person"))
    where = ("--folder", str(tmp_path / "watch"))
    status, _, warned = scoreline("status", *where)
    assert (status, "no watcher has looked yet" in warned) == (1, True)
    dry = scoreline("--dry-run", "--lake", place.uri, *where)
    assert dry[:2] == (0, "note: version 1 is the champion; watching begins\n"), dry
    assert not (tmp_path / "watch").exists()
    command = [sys.executable, "-m", "watch", "--once", "--lake", place.uri, *where]
    once = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert once.returncode == 0, once.stderr
    _, shown, _ = scoreline("status", *where)
    assert "version 1 is the champion" in shown
    assert "cooldown since" in shown
    found = json.loads(scoreline("status", "--json", *where)[1])
    assert (found["doing"], [step["phase"] for step in found["steps"]]) == ("cooldown", ["done", "begun"])
    assert scoreline("pause", "--why", "<script>", *where)[0] == 0
    assert "paused: <script>" in scoreline("--dry-run", "--lake", place.uri, *where)[1]
    assert scoreline("reset", *where)[0] == 0
    assert not (tmp_path / "watch" / STATUS).exists()
    broken = tmp_path / "policy.yaml"
    broken.write_text("cooldown: 1")
    status, _, warned = scoreline("--once", "--policy", str(broken), "--lake", place.uri, *where)
    assert (status, warned.count("\n")) == (1, 1), warned
    assert "should be a policy of the watcher" in warned
