"""The registry, on a real MLflow: what comes back is what went in, or is refused with a reason."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.arrays import Floats
from ml.features import FEATURES
from ml.model import Model
from ml.registry import packed, promotion_history, serialization, tracking
from ml.registry.model_store import (
    ModelRefused,
    ModelStore,
    NoChampion,
    RegistryError,
)
from stack.mlflow import MLflow


def artifact_folder(registry: ModelStore, version: int) -> Path:
    uri = tracking.client(registry.uri).get_model_version_download_uri(registry.name, str(version))
    return Path(uri.removeprefix("file://"))


def test_a_registered_model_comes_back_as_it_was(registry: ModelStore, model: Model, features: Floats) -> None:
    assert registry.register(model, features).version == 1
    again = registry.load(1)
    assert (again.name, again.version, again.features, again.budget) == ("scoreline", 1, FEATURES, model.budget)
    assert again.threshold == model.threshold
    assert again.usual.tolist() == model.usual.tolist()
    assert again.anomaly_score(features).tolist() == model.anomaly_score(features).tolist()
    assert again.reasons(features[:20]) == model.reasons(features[:20])


def test_the_decline_threshold_is_kept_with_the_model_and_a_model_without_one_is_stored_as_before(
    registry: ModelStore, model: Model, features: Floats
) -> None:
    before = registry.register(model, features)
    registry.register(replace(model, decline_threshold=0.9), features)
    came, packed_file = registry.fetch(2)
    assert came.decline_threshold == 0.9
    assert packed.unpack(packed_file, came.digest, FEATURES).decline_threshold == 0.9
    assert registry.load(1).decline_threshold is None
    assert came.digest != before.digest
    text = (artifact_folder(registry, 1) / "MLmodel").read_text()
    assert "decline_threshold:" not in text  # the folder has the name of this test


def test_a_decline_threshold_below_the_alerts_is_refused(registry: ModelStore, model: Model, features: Floats) -> None:
    registry.register(replace(model, decline_threshold=model.threshold / 2), features)
    with pytest.raises(ModelRefused, match="its decline threshold is"):
        registry.load(1)


def test_models_lists_versions_with_alias_parameters_and_metrics_newest_first(
    registry: ModelStore, model: Model, features: Floats
) -> None:
    assert registry.models() == []
    registry.register(model, features, {"rows": 5_000}, {"alert_share_check_part": 0.004})
    registry.register(model, features)
    registry.promote(1)
    second, first = registry.models()
    assert (second.version, second.aliases, first.version, first.aliases) == (2, (), 1, ("champion",))
    assert first.params["rows"] == "5000"
    assert first.metrics["alert_share_check_part"] == 0.004
    assert first.metrics["threshold"] == model.threshold
    assert first.trained_at <= second.trained_at


def test_a_version_whose_run_is_gone_or_never_was_is_still_listed(
    registry: ModelStore, small_model: Model, features: Floats
) -> None:
    registry.register(small_model, features)
    client = tracking.client(registry.uri)
    run_id = client.get_model_version("scoreline", "1").run_id
    client._tracking_client.store._hard_delete_run(run_id)  # what the command `mlflow gc` does
    client.create_model_version("scoreline", source=artifact_folder(registry, 1).as_uri())
    assert [(row.version, row.params, row.metrics) for row in registry.models()] == [(2, {}, {}), (1, {}, {})]


def test_artifacts_lie_beside_the_sqlite_file_and_nothing_is_printed_or_left_in_the_working_folder(
    registry: ModelStore,
    model: Model,
    features: Floats,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://set.by.the.user:5000")
    registry.register(model, features)
    registry.promote(1)
    registry.load(1)
    assert list(elsewhere.iterdir()) == []
    assert (artifact_folder(registry, 1) / serialization.PLACE).is_relative_to(tmp_path / "registry" / "artifacts")
    assert capfd.readouterr() == ("", "")
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://set.by.the.user:5000"


def test_a_new_sqlite_file_is_made_with_its_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoChampion):
        ModelStore(f"sqlite:///{tmp_path / 'not' / 'yet' / 'mlflow.db'}").champion()
    assert capfd.readouterr() == ("", "")


# Champions


def test_without_a_champion_the_error_names_the_mend(
    registry: ModelStore, small_model: Model, features: Floats
) -> None:
    with pytest.raises(NoChampion, match=r"'scoreline'.* alias 'champion'; train one with `make train`"):
        registry.champion()
    registry.register(small_model, features)
    with pytest.raises(NoChampion, match="python -m ml promote VERSION"):
        registry.champion()


def test_each_rollback_goes_one_champion_back(registry: ModelStore, small_model: Model, features: Floats) -> None:
    for _ in range(4):
        registry.register(small_model, features)
    for version in (1, 3, 2):
        registry.promote(version)
    assert registry.champion() == 2
    assert [registry.rollback(), registry.champion(), registry.rollback(), registry.champion()] == [3, 3, 1, 1]
    with pytest.raises(RegistryError, match="no champion before this one"):
        registry.rollback()
    registry.promote(4)
    assert registry.rollback() == 1


def test_rollback_skips_versions_that_were_deleted(registry: ModelStore, small_model: Model, features: Floats) -> None:
    for version in (1, 2, 3):
        registry.register(small_model, features)
        registry.promote(version)
    tracking.client(registry.uri).delete_model_version("scoreline", "2")
    assert registry.rollback() == 1


def test_rollback_goes_back_to_a_champion_that_was_named_by_hand(
    registry: ModelStore, small_model: Model, features: Floats
) -> None:
    for _ in range(3):
        registry.register(small_model, features)
    registry.promote(1)
    tracking.client(registry.uri).set_registered_model_alias("scoreline", "champion", "2")
    registry.promote(3)
    assert [registry.rollback(), registry.rollback()] == [2, 1]


def test_a_version_that_does_not_exist_is_not_promoted(
    registry: ModelStore, small_model: Model, features: Floats
) -> None:
    with pytest.raises(RegistryError, match=r"no version 1 .*train one"):
        registry.promote(1)
    registry.register(small_model, features)
    with pytest.raises(RegistryError, match=r"no version 7 .*there are 1"):
        registry.promote(7)
    with pytest.raises(RegistryError, match="no champion before"):
        registry.rollback()


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=40))
def test_any_sequence_of_promotions_and_rollbacks_behaves_like_undo(steps: list[int | None]) -> None:
    """None is a rollback; promoting the champion again is nothing to undo."""
    undo: list[int] = []
    history: list[int] = []
    for version in steps:
        champion = history[-1] if history else None
        if version is not None:
            history = promotion_history.promoted(history, champion, version)
            undo += [version] if undo[-1:] != [version] else []
        elif len(undo) > 1:
            history = promotion_history.rolled_back(history, champion)
            undo.pop()
        assert history == undo


def test_a_promotion_or_rollback_cut_off_in_the_middle_is_rolled_back_rightly() -> None:
    assert promotion_history.rolled_back([1, 2], champion=3)[-1] == 2  # 3 has the alias, but is not in the history yet
    assert (
        promotion_history.rolled_back([1, 2], champion=3)[-1] == 2
    )  # 3 has the alias still, but is no longer in the history


# What must not judge


def test_a_version_that_is_not_there_is_refused(registry: ModelStore) -> None:
    with pytest.raises(ModelRefused, match="no such version"):
        registry.load(9)


@pytest.mark.parametrize("name", [serialization.PLACE, "MLmodel", "."])
def test_a_missing_file_is_refused(registry: ModelStore, model: Model, features: Floats, name: str) -> None:
    registry.register(model, features)
    target = artifact_folder(registry, 1) / name
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    with pytest.raises(ModelRefused):
        registry.load(1)


def test_a_damaged_artifact_is_refused_with_its_reason(registry: ModelStore, model: Model, features: Floats) -> None:
    registry.register(model, features)
    file = artifact_folder(registry, 1) / serialization.PLACE
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelRefused, match=r"scorer\.npz can't be read"):
        registry.load(1)


def test_a_model_trained_on_other_features_is_refused(registry: ModelStore, model: Model, features: Floats) -> None:
    names = tuple("new_browser" if name == "new_device" else name for name in FEATURES)
    other = Model("scoreline", 0, model.scorer, 0.6, names, np.tile([-2.0, 0.0, 2.0], (len(names), 1)))
    registry.register(other, features)
    with pytest.raises(ModelRefused, match=r"not computed here \(new_browser\).*make train"):
        registry.load(1)


# A real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflow]:
    mlflow_server = MLflow(tmp_path_factory.mktemp("server"))
    mlflow_server.start()
    yield mlflow_server
    mlflow_server.stop()
    assert mlflow_server.pid is None


def test_all_of_it_works_over_http_and_by_the_servers_own_file(server: MLflow, model: Model, features: Floats) -> None:
    by_http, by_file = ModelStore(server.url, "fraud"), ModelStore(server.database_uri, "fraud")
    scores = model.anomaly_score(features).tolist()
    with pytest.raises(NoChampion):
        by_http.champion()
    assert by_http.register(model, features, {"rows": 5_000}).version == 1
    assert by_file.register(replace(model, threshold=0.7), features).version == 2
    by_http.promote(1)
    by_http.promote(2)
    assert by_file.champion() == 2
    assert by_file.rollback() == by_http.champion() == 1
    assert [row.aliases for row in by_http.models()] == [(), ("champion",)]
    for registry in (by_http, by_file):
        assert [registry.load(version).threshold for version in (1, 2)] == [model.threshold, 0.7]
        assert registry.load(1).anomaly_score(features).tolist() == scores
    with pytest.raises(ModelRefused, match="no such version"):
        by_http.load(3)
