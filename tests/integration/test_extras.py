"""Extras from a public data set's file to alerts: convert, train and promote, replay, judge live; and what is judged the
same everywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detection.decision import Decision
from detection.engine import Engine, Scored
from detection.folding import Messages
from detection.ranges import Versions
from detection.score_json import closing
from generator.replay.convert import Converter
from generator.replay.mapping import load_mapping
from generator.replay.play import Pace
from generator.replay.stream import DataSet
from jobs.runtime.errors import Fatal
from ml.dataset.split import Split
from ml.evaluation.data import Extras, outline, read
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.features.declared import names
from ml.features.declared import read as declaration
from ml.features.events import hash_id
from ml.registry.model_store import ModelStore
from settings import Settings
from tests.generator.replay_data import PROMPT, SAMPLES
from tests.generator.test_replay_play import player, read_labels
from tests.integration.traffic import scores, send
from tests.ml.conftest import Run, run
from tests.support.kafka import read_topic

__all__ = ["run"]
DECLARATION = SAMPLES / "ulb-extras.toml"
NUMBERS = names(declaration(DECLARATION))


def ulb_file(folder: Path, rows: int = 3_000) -> Path:
    """Rows in the shape of the published file; every fortieth is fraud, which V14 and V17 show."""
    random, lines = np.random.default_rng(101), [(SAMPLES / "ulb.csv").read_text().splitlines()[0]]
    for n, second in enumerate(np.sort(random.integers(0, 172_800, rows)).tolist()):
        fraud = n % 40 == 39
        parts = random.normal(0, np.linspace(2, 0.3, 28)) - 6 * fraud * np.isin(np.arange(1, 29), (14, 17))
        values = ",".join(f"{value:.13f}" for value in parts)
        lines.append(f'{second},{values},{random.lognormal(3, 1.5):.2f},"{int(fraud)}"')
    file = folder / "creditcard.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_data_set_with_extras_goes_from_its_file_to_alerts_and_every_part_judges_alike(
    settings: Settings, registry: ModelStore, run: Run, detect_all: Callable[..., None], tmp_path: Path
) -> None:
    data = DataSet(ulb_file(tmp_path), load_mapping("ulb"))
    history = tmp_path / "history"
    Converter(data, history, PROMPT).run()
    trained = ("train", str(history), "--detector", "random_forest", "--budget", "0.02", "--promote")
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
    assert len(found) == len(sent) == 3_002
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


def odd_messages() -> list[tuple[bytes, bytes]]:
    common = b'"event_time":"2013-09-02T12:00:00Z","customer_id":"odd","amount":5'
    extras = (b'"V1":"high","V2":0.5', b'"other":"text"')
    return [(b"odd", b'{"transaction_id":"odd-%d",%b,%b}' % (k, common, more)) for k, more in enumerate(extras)]


def judged(score: dict[str, Any]) -> dict[str, Any]:
    """All of a score but who wrote it, and when."""
    return {name: value for name, value in score.items() if name not in ("lane", "micro_batch", "scored_at")}


def as_the_engine_says(sent: Any, model: Any) -> dict[tuple[int, int], dict[str, Any]]:
    versions = Versions(model.version, name=model.name, model_digest=model.digest)
    decision = Decision.from_table(versions, model, None)
    log = sorted(sent, key=lambda record: (record.partition, record.offset))
    columns = [[getattr(r, name) for r in log] for name in ("value", "key", "timestamp", "partition", "offset")]
    engine = Engine(Customers(), declared=declaration(DECLARATION))
    outcomes = engine.work(Messages(*columns), decision, closing("early", None, 0))
    plain = [msgspec.json.decode(one.value) for one in outcomes if isinstance(one, Scored)]
    return {(score["partition"], score["offset"]): judged(score) for score in plain}


def as_evaluation_says(history: Path, model: Any) -> set[tuple[int, float]]:
    seen = outline(history)
    split = Split.from_span(int(seen.times[0]), int(seen.times[-1]), 0.0)
    data = read(seen, split, 0, extras=Extras(declaration(DECLARATION), model.extras))
    rows = data.test.features[:, [data.feature_names.index(name) for name in model.features]]
    found = set(zip(data.test.transaction.tolist(), model.anomaly_score(rows).tolist(), strict=True))
    assert len(found) > 500
    return found
