"""The extras that a job reads: recorded by its checkpoint, held by its restarts and replays, and needed by its model."""

from dataclasses import replace
from pathlib import Path

import pytest

from detection.errors import CheckpointIncomplete
from detection.model_versions import ModelVersions
from jobs.declared_extras import NAME, check_extras, check_replay, hold_declared, model_store
from jobs.preflight import champion_needs_profiles
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.arrays import Floats
from ml.features.declared import Declared, Extra, names
from ml.model import Model
from ml.registry.model_store import ModelStore
from settings import Settings
from versions.champion import ChampionPoller
from versions.errors import NoModel

A, B = Extra("a", 0, 9, "first"), Extra("b", -1, 1, "second")


@pytest.fixture
def folder(tmp_path: Path) -> DurableFolder:
    return DurableFolder.on_disk(tmp_path / "settings")


def settings(folder: Path, *declared: Extra) -> Settings:
    """With a file that declares these extras; without any, no file."""
    if not declared:
        return Settings()
    file = folder / "extras.toml"
    file.write_text(
        "\n".join(f'{e.name} = {{lowest = {e.lowest}, highest = {e.highest}, about = "{e.about}"}}' for e in declared)
    )
    return Settings(extras_file=file)


def held(tmp_path: Path, folder: DurableFolder, *declared: Extra) -> Declared:
    return hold_declared(settings(tmp_path, *declared), folder)


def test_a_checkpoint_without_extras_may_begin_to_read_some(tmp_path: Path, folder: DurableFolder) -> None:
    assert held(tmp_path, folder) == ()
    assert folder.names() == []
    assert held(tmp_path, folder, A) == (A,)
    assert held(tmp_path, folder, A) == (A,)


def test_a_later_start_may_declare_more_and_say_other_words(tmp_path: Path, folder: DurableFolder) -> None:
    held(tmp_path, folder, A)
    other_words = Extra("a", 0, 9, "the first one")
    assert held(tmp_path, folder, B, other_words) == (B, other_words)
    assert held(tmp_path, folder, other_words, B) == (other_words, B)


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ((), r"a is not declared any more; b is not declared any more\. Declare them as they were"),
        ((A,), "b is not declared any more"),
        ((A, Extra("b", -1, 2, "second")), "b was a number from -1 to 1 and is now a number from -1 to 2"),
        ((Extra("a", 1, 9, "first"), B), "a was a number from 0 to 9 and is now a number from 1 to 9"),
    ],
)
def test_what_a_checkpoint_reads_is_neither_withdrawn_nor_given_another_range(
    tmp_path: Path, folder: DurableFolder, later: Declared, why: str
) -> None:
    held(tmp_path, folder, A, B)
    with pytest.raises(Fatal, match=why):
        held(tmp_path, folder, *later)
    with pytest.raises(Fatal, match=f"--replay-of there was judged with other extras: .*{why}"):
        check_replay(later, "there", folder)
    check_replay((B, A, Extra("c", 0, 1)), "there", folder)
    assert held(tmp_path, folder, A, B) == (A, B)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[7]"])
def test_a_record_that_is_damaged_is_named(tmp_path: Path, folder: DurableFolder, content: bytes) -> None:
    folder.write_newest(NAME, content)
    with pytest.raises(CheckpointIncomplete, match=r"file settings/extras.json is damaged"):
        held(tmp_path, folder, A)


def test_a_file_that_declares_nothing_usable_stops_the_start_in_one_line(tmp_path: Path, registry: ModelStore) -> None:
    wrong = Settings(extras_file=tmp_path / "none.toml", mlflow_tracking_uri=registry.uri, checkpoint=str(tmp_path))
    with pytest.raises(Fatal, match=r"none.toml can't be read"):
        check_extras(wrong)
    assert not champion_needs_profiles(wrong)


def test_a_champion_that_needs_an_undeclared_extra_is_refused_at_the_start(
    registry: ModelStore, small_model: Model, features: Floats, tmp_path: Path
) -> None:
    last = small_model.features[-1]
    needs_a = replace(small_model, features=(*small_model.features[:-1], "a"), extras={"a": 2.0})
    registry.promote(registry.register(needs_a, features).version)
    given = Settings(mlflow_tracking_uri=registry.uri)

    def first(*declared: Extra) -> Model:
        models = DurableFolder.on_disk(tmp_path / "models")
        store = model_store(given, declared)
        return ChampionPoller(store, ModelVersions(store, models)).current()

    with pytest.raises(NoModel, match=r"no model to judge by: it judges by extras that are not declared \(a\)"):
        first(B)
    model = first(B, A)
    assert model.features[-1] == "a" != last
    assert model.extras == {"a": 2.0}
    assert names((B, A)) == model_store(given, (B, A)).extras
    # A restart without the declaration, with the model kept beside it.
    with pytest.raises(NoModel, match="not declared"):
        first()
