"""A registry that an earlier release filled: its models are listed, and refused with the command that trains again."""

import mlflow
import pytest

from ml.registry import tracking
from ml.registry.model_store import ModelRefused, ModelStore
from tests.upgrade.release import Release

REFUSAL = r"fold version 1, and here they are of 2.*make train"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


def test_its_champion_is_known_and_listed(release: Release) -> None:
    registry = ModelStore(release.registry)
    assert registry.champion() == 1
    [listed] = registry.models()
    assert listed.aliases == ("champion",)
    assert listed.params["detector"] == "isolation_forest"


def test_its_model_is_refused_since_its_features_meant_something_else(release: Release) -> None:
    with pytest.raises(ModelRefused, match=REFUSAL):
        ModelStore(release.registry).load(1)


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # from MLflow's import of its own modules
def test_mlflow_says_the_same_of_it(release: Release) -> None:
    files = tracking.download(release.registry, "scoreline", 1, release.folder / "files")
    assert "loader_module: ml.stored" in (files / "MLmodel").read_text()
    with pytest.raises(ModelRefused, match=REFUSAL):
        mlflow.pyfunc.load_model(str(files))
