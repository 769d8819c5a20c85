"""Extras from a public data set's file to alerts: convert, train and promote, replay, judge live; and what is judged the
same everywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from generator.replay.convert import Converter
from generator.replay.mapping import load_mapping
from generator.replay.play import Pace
from generator.replay.stream import DataSet
from jobs.runtime.errors import Fatal
from ml.features import FEATURES
from ml.features.events import hash_id
from ml.registry.model_store import ModelStore
from settings import Settings
from tests.detection.ulb_cases import (
    DECLARATION,
    NUMBERS,
    as_evaluation_says,
    as_the_engine_says,
    judged,
    odd_messages,
    ulb_file,
)
from tests.generator.replay_data import PROMPT
from tests.generator.test_replay_play import player, read_labels
from tests.integration.traffic import scores, send
from tests.ml.conftest import Run, run
from tests.support.kafka import read_topic

__all__ = ["run"]


def test_a_data_set_with_extras_goes_from_its_file_to_alerts_and_every_part_judges_alike(
    settings: Settings, registry: ModelStore, run: Run, detect_all: Callable[..., None], tmp_path: Path
) -> None:
    data = DataSet(ulb_file(tmp_path), load_mapping("ulb"))
    history = tmp_path / "history"
    Converter(data, history, PROMPT).run()
    trained = ("train", str(history), "--detector", "random_forest", "--budget", "0.04", "--promote")
    assert "28 of the history's are not declared (V1, V2, V3, …)" in run(*trained)[2]
    status, _, err = run(*trained, "--extras-file", str(DECLARATION))
    assert status == 0, err

    with pytest.raises(Fatal, match="extras that are not declared"):
        detect_all(settings)
    player(settings, data, tmp_path, Pace()).run()
    send(settings, odd_messages())
    job = settings.model_copy(update={"extras_file": DECLARATION})
    detect_all(job)

    found = scores(settings)
    sent = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    assert len(found) == len(sent) == 5_002
    live = replace(registry, extras=NUMBERS)
    model = live.load(live.champion())
    assert model.features == (*FEATURES, *NUMBERS)
    assert as_the_engine_says(sent, model) == {place: judged(score) for place, score in found.items()}
    assert as_evaluation_says(history, model) <= {
        (hash_id(score["transaction_id"]), score["anomaly_score"]) for score in found.values()
    }

    frauds = {label.transaction_id for label in read_labels(settings, settings.truth_topic)}
    alerts = scores(settings, settings.alerts_topic).values()
    alerted = {score["transaction_id"] for score in alerts}
    assert len(alerted & frauds) > 0.7 * len(frauds) > 50
    for score in alerts:
        if score["transaction_id"] in frauds:
            assert {"V14", "V17"} & {reason["feature"] for reason in score["reasons"]}
    assert all(list(score["named_features"]) == [*FEATURES, *NUMBERS] for score in alerts)
    by_id = {score["transaction_id"]: score for score in found.values()}
    assert by_id["odd-0"]["refused_extras"] == {"V1": 'it must be a number from -200 to 200, but is "high"'}
    assert by_id["odd-0"]["extras"] == dict.fromkeys(NUMBERS) | {"V2": 0.5}
    assert "refused_extras" not in by_id["odd-1"]

    fewer = tmp_path / "fewer.toml"
    fewer.write_text("\n".join(DECLARATION.read_text().splitlines()[:-1]))
    with pytest.raises(Fatal, match="made with other extras: V28 is not declared any more"):
        detect_all(job.model_copy(update={"extras_file": fewer}))
