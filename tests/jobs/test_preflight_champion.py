"""A start is refused for want of a champion only where there is no model beside the checkpoint either."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.preflight import check_champion
from jobs.runtime.errors import Fatal
from ml.registry.model_store import ModelStore
from settings import Settings


@pytest.fixture
def settings(registry: ModelStore, tmp_path: Path) -> Settings:
    """With an empty registry."""
    return Settings(mlflow_tracking_uri=registry.uri, checkpoint=f"file://{tmp_path}/check%20point #1")


def test_without_a_model_anywhere_the_start_is_refused_in_one_line(settings: Settings, registry: ModelStore) -> None:
    with pytest.raises(Fatal, match="train one with `make train`"):
        check_champion(settings)
    away = replace(registry, uri="http://127.0.0.1:9")
    with pytest.raises(Fatal, match="does not answer"):
        check_champion(settings.model_copy(update={"mlflow_tracking_uri": away.uri}))


def test_with_a_kept_model_the_registry_is_not_even_asked(settings: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "check%20point #1" / "models" / f"{'0' * 64}.model"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    check_champion(settings)
    check_champion(settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"}))


def test_a_pickle_of_an_earlier_release_is_no_kept_model(settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / "check%20point #1" / "models" / "1.pickle"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    with pytest.raises(Fatal, match="train one"):
        check_champion(settings)


def test_where_the_checkpoint_is_elsewhere_the_start_itself_finds_out(settings: Settings) -> None:
    check_champion(settings.model_copy(update={"checkpoint": "s3a://bucket/checkpoint"}))
