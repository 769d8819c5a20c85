"""Which model the job judges by, while the registry's champion changes, breaks, or the registry is gone."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs.champion import ChampionFollower
from jobs.storage import DurableFolder
from ml import stored, tracking
from ml.detectors import DETECTORS
from ml.model import Model, usual_ranges
from ml.registry import ModelRefused, Registry
from settings import Settings


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> DurableFolder:
    return DurableFolder(spark, str(tmp_path / "models"))


@pytest.fixture
def follower(registry: Registry, folder: DurableFolder) -> Iterator[ChampionFollower]:
    following = ChampionFollower(registry, folder, poll_seconds=0.05)
    wanted = True
    following.follow(lambda: wanted)
    yield following
    wanted = False


def wait_for_version(follower: ChampionFollower, version: int) -> None:
    deadline = time.monotonic() + 20
    while follower.current().version != version:
        assert time.monotonic() < deadline, f"version {version} was not taken up"
        time.sleep(0.05)


def damage(registry: Registry, version: int) -> None:
    uri = tracking.client(registry.uri).get_model_version_download_uri(registry.name, str(version))
    file = Path(uri.removeprefix("file://")) / stored.PLACE
    file.write_bytes(file.read_bytes()[:-1_000])


def random_model(features: tuple[str, ...]) -> tuple[Model, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(500, len(features)))
    scorer = DETECTORS["isolation_forest"].fit(rows, np.zeros(len(rows), np.bool_), 1)
    return Model("scoreline", 0, scorer, 0.6, features, usual_ranges(rows)), rows


def test_broken_champions_are_refused_and_the_next_good_one_is_taken_up(
    registry: Registry,
    models: list[Model],
    follower: ChampionFollower,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert follower.current().version == 1
    other = registry.register(*random_model(tuple(reversed(models[0].features)))).version
    registry.promote(other)
    corrupt = registry.register(*random_model(models[0].features)).version
    damage(registry, corrupt)
    for version in (other, corrupt):
        registry.promote(version)
        deadline = time.monotonic() + 20
        while f"version {version} is refused" not in caplog.text:
            assert time.monotonic() < deadline, f"version {version} was not refused"
            time.sleep(0.05)
        assert follower.current().version == 1
    registry.promote(2)
    wait_for_version(follower, 2)
    with pytest.raises(ModelRefused):
        follower.version(corrupt)


def test_a_start_without_the_registry_goes_on_with_the_model_used_last(
    settings: Settings, registry: Registry, folder: DurableFolder
) -> None:
    ChampionFollower(registry, folder)
    gone = Registry("http://127.0.0.1:9", settings.model_name, settings.model_alias)
    assert ChampionFollower(gone, folder).current().version == 1


def test_a_champion_in_use_does_not_depend_on_its_artifacts_any_more(
    settings: Settings, registry: Registry, folder: DurableFolder
) -> None:
    ChampionFollower(registry, folder)
    empty = Registry(f"sqlite:///{Path(settings.checkpoint).parent / 'empty.db'}", "scoreline", "champion")
    again = ChampionFollower(empty, folder)
    assert again.current().version == again.version(1).version == 1
