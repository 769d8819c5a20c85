"""A refused champion and a registry that does not answer are reported once, and once more when that is over."""

from dataclasses import replace
from pathlib import Path

import pytest

from detection.durable_folder import DurableFolder
from detection.model_versions import ModelVersions
from messaging import events, poller
from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.arrays import Floats
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import Event
from ml.schema import Reader as Records
from settings import Settings
from versions import champion
from versions.champion import ChampionPoller
from versions.reports import reports


class Said(list[tuple[str, bool]]):
    """What was reported: words, and whether it is over."""

    def __call__(self, words: str, resolved: bool) -> None:
        self.append((words, resolved))


@pytest.fixture
def models(registry: ModelStore, small_model: Model, features: Floats) -> list[Model]:
    """The champion, one that can't judge here, and another good one."""
    broken = replace(small_model, features=("moon_phase", *small_model.features[1:]))
    registered = [registry.register(model, features) for model in (small_model, broken, small_model)]
    registry.promote(1)
    return registered


@pytest.fixture
def kept(tmp_path: Path) -> DurableFolder:
    return DurableFolder.on_disk(tmp_path / "models")


def test_a_refused_champion_is_reported_once_and_when_another_one_judges(
    registry: ModelStore, models: list[Model], kept: DurableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(models) == 3
    monkeypatch.setattr(champion, "_REFUSED_SECONDS", 0.0)  # so that each look checks it again
    refusal, outage = Said(), Said()
    polling = ChampionPoller(registry, ModelVersions(registry, kept), refusal=refusal, outage=outage)
    polling.look_once()
    assert not refusal
    registry.promote(2)
    for _ in range(3):
        polling.look_once()
    assert polling.refused
    [(words, resolved)] = refusal
    assert "moon_phase" in words
    assert words.endswith("scoring goes on with " + polling.in_use)
    assert not resolved
    registry.promote(3)
    for _ in range(3):
        polling.look_once()
    assert not polling.refused
    assert [resolved for _, resolved in refusal] == [False, True]
    assert not outage


def test_a_start_on_a_refused_champion_reports_it_once(
    registry: ModelStore, models: list[Model], kept: DurableFolder
) -> None:
    assert models
    ChampionPoller(registry, ModelVersions(registry, kept))
    registry.promote(2)
    refusal = Said()
    polling = ChampionPoller(registry, ModelVersions(registry, kept), refusal=refusal)
    polling.look_once()
    assert polling.refused
    assert [resolved for _, resolved in refusal] == [False]
    registry.promote(1)  # what judges already
    polling.look_once()
    assert [resolved for _, resolved in refusal] == [False, True]


class OfFile(poller.Poller):
    """Polls a file, which may go."""

    def __init__(self, file: Path, outage: Said) -> None:
        super().__init__("the file", 1.0, outage)
        self._file = file

    def look(self) -> None:
        self._file.read_bytes()

    @property
    def in_use(self) -> str:
        return "what it had"


def test_what_has_not_answered_for_a_minute_is_reported_once_and_once_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage, file = Said(), tmp_path / "polled"
    polling = OfFile(file, outage)
    for _ in range(2):
        polling.look_once()
    assert not polling.available
    file.touch()
    polling.look_once()
    assert not outage  # it may have been a restart
    file.unlink()
    polling.look_once()
    monkeypatch.setattr(poller, "OUTAGE_SECONDS", 0.0)
    for _ in range(3):
        polling.look_once()
    [(words, resolved)] = outage
    assert words.startswith("the file is unavailable")
    assert not resolved
    file.touch()
    for _ in range(2):
        polling.look_once()
    assert polling.available
    assert [resolved for _, resolved in outage] == [False, True]


def test_a_report_is_an_event_on_its_topic(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_outboxes", {})
    report = reports(topics, "serve", "model_refused", "critical", "model scoreline")
    report("x" * 5_000, False)
    report("version 3 judges", True)
    assert events.drain(20) == 0
    with Reader(KafkaConfig.from_settings(topics), topics.events_topic) as reader:
        found = Records(Event).read_all([message.value() for message in reader.read_all()])
    assert not found.unreadable
    assert [(each.kind, each.source, each.severity, each.resolved) for each in found.records] == [
        ("model_refused", "serve", "critical", False),
        ("model_refused", "serve", "critical", True),
    ]
