"""What is on trial beside the champion, while the registry's challenger changes, breaks, or the registry is gone."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from detection.durable_folder import DurableFolder
from detection.errors import VersionUnavailable
from detection.ledger import Challenger, Versions
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from ml.arrays import Floats
from ml.model import Model
from ml.registry import serialization, tracking
from ml.registry.model_store import ModelStore, Terms
from versions.challenger import ChallengerPoller
from versions.champion import ChampionPoller


@pytest.fixture
def models(registry: ModelStore, small_model: Model, features: Floats) -> list[Model]:
    """Versions 1 (the champion), 2 and 3."""
    found = [registry.register(replace(small_model, threshold=t), features) for t in (0.6, 0.61, 0.62)]
    registry.promote(1)
    return found


def store(registry: ModelStore, folder: Path) -> VersionStore:
    kept = [DurableFolder.on_disk(folder / name) for name in ("models", "tables", "profiles")]
    return VersionStore(ModelVersions(registry, kept[0]), ThresholdStore(kept[1]), ProfileStore(kept[2]))


def looked(poller: ChallengerPoller) -> Challenger | None:
    poller.look()
    found = poller.current()
    return None if found is None else found.by


def test_a_challenger_is_taken_up_with_its_terms_changed_and_given_up(
    registry: ModelStore, models: list[Model], tmp_path: Path
) -> None:
    poller = ChallengerPoller(registry, store(registry, tmp_path).models)
    assert looked(poller) is None
    registry.challenge(2)
    digest = models[1].digest
    assert looked(poller) == Challenger(2, "scoreline", digest, salt=digest[:16])
    registry.challenge(2, terms=Terms(0.5, 0.1, "salt"))
    assert looked(poller) == Challenger(2, "scoreline", digest, share=0.5, judges=0.1, salt="salt")
    registry.challenge(3)
    found = looked(poller)
    assert found is not None
    assert found.model == 3
    registry.promote(3)
    assert looked(poller) is None


@pytest.mark.usefixtures("models")
def test_a_broken_challenger_is_refused_once_with_its_reason_and_the_next_one_is_taken_up(
    registry: ModelStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tracking.client(registry.uri).get_model_version_download_uri("scoreline", "2")
    Path(source.removeprefix("file://"), serialization.PLACE).write_bytes(b"")
    poller = ChallengerPoller(registry, store(registry, tmp_path).models)
    registry.challenge(2)
    assert looked(poller) is None
    assert looked(poller) is None
    assert caplog.text.count("version 2 is not put on trial: its file scorer.npz can't be read") == 1
    registry.challenge(3)
    assert looked(poller) is not None


@pytest.mark.usefixtures("models")
def test_while_the_registry_is_unavailable_the_trial_goes_on(registry: ModelStore, tmp_path: Path) -> None:
    poller = ChallengerPoller(registry, store(registry, tmp_path).models)
    registry.challenge(2)
    before = looked(poller)
    poller._registry = replace(registry, uri="http://127.0.0.1:9")
    poller._guarded_look()
    assert poller.current() is not None
    assert poller.current().by == before  # type: ignore[union-attr]


def test_a_challenger_is_no_model_that_a_restart_goes_on_with(
    registry: ModelStore, models: list[Model], tmp_path: Path
) -> None:
    kept = store(registry, tmp_path).models
    ChampionPoller(registry, kept)
    registry.challenge(2)
    looked(ChallengerPoller(registry, kept))
    gone = replace(registry, uri="http://127.0.0.1:9")
    assert ChampionPoller(gone, store(gone, tmp_path).models).current().digest == models[0].digest


def judged_by(models: list[Model], **terms: float) -> Versions:
    by = Challenger(2, "scoreline", models[1].digest, **terms)  # type: ignore[arg-type]
    return Versions(1, 0, "scoreline", models[0].digest, challenger=by)


def test_what_the_ledger_names_is_judged_by_after_a_restart_without_the_registry_too(
    registry: ModelStore, models: list[Model], tmp_path: Path, features: Floats
) -> None:
    kept = store(registry, tmp_path)
    ChampionPoller(registry, kept.models)
    registry.challenge(2)
    looked(ChallengerPoller(registry, kept.models))
    again = store(replace(registry, uri="http://127.0.0.1:9"), tmp_path)
    decision = again.decision(judged_by(models, share=0.5))
    assert decision.trial is not None
    assert decision.trial.model.digest == models[1].digest
    assert decision.trial.model.anomaly_score(features).tolist() == models[1].anomaly_score(features).tolist()


def test_a_challenger_that_is_gone_is_left_out_and_said_once_unless_it_judges(
    registry: ModelStore, models: list[Model], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = store(registry, tmp_path)
    ChampionPoller(registry, kept.models)
    gone = store(replace(registry, uri="http://127.0.0.1:9"), tmp_path)
    caplog.set_level(logging.ERROR)
    for _ in range(2):
        decision = gone.decision(judged_by(models))
        assert (decision.trial, decision.model.digest) == (None, models[0].digest)
    assert caplog.text.count("version 2, which is on trial, is not available") == 1
    with pytest.raises(VersionUnavailable):
        gone.decision(judged_by(models, judges=0.1))


def test_what_is_on_trial_is_not_deleted_before_the_ledger_names_it(
    registry: ModelStore, models: list[Model], tmp_path: Path
) -> None:
    kept = store(registry, tmp_path)
    registry.challenge(2)
    looked(ChallengerPoller(registry, kept.models))
    kept.models.purge(set())
    assert kept.models.model(models[1].digest).version == 2
    registry.challenge(3)
    looked(ChallengerPoller(registry, kept.models))
    kept.models.purge({models[1].digest})
    assert kept.models.model(models[1].digest).version == 2
    assert kept.models.model(models[2].digest).version == 3


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("models")
def test_it_is_polled_in_the_background(registry: ModelStore, tmp_path: Path) -> None:
    poller = ChallengerPoller(registry, store(registry, tmp_path).models, poll_seconds=0.02)
    wanted = True
    poller.poll(lambda: wanted)
    registry.challenge(2)
    until(lambda: poller.current() is not None)
    registry.withdraw()
    until(lambda: poller.current() is None)
    wanted = False


def test_versions_with_a_challenger_are_written_and_read_as_json(models: list[Model]) -> None:
    versions = judged_by(models, share=0.5, judges=0.25)
    assert msgspec.json.decode(msgspec.json.encode(versions), type=Versions) == versions
