"""Which model the job judges by, while the registry's champion changes, breaks, or the registry is gone."""

import io
import itertools
import re
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection import model_versions as kept_models
from detection.ledger import Versions
from detection.model_versions import ModelVersions
from jobs.runtime.storage import DurableFolder
from ml.arrays import Floats
from ml.model import Model
from ml.registry import serialization, tracking
from ml.registry.model_store import ModelRefused, ModelStore
from versions import champion
from versions.champion import ChampionPoller
from versions.errors import NoModel

Register = Callable[[Model], Model]


@pytest.fixture
def register(registry: ModelStore, features: Floats) -> Register:
    """Registers a model as the next version."""
    return lambda model: registry.register(model, features)


@pytest.fixture
def models(register: Register, registry: ModelStore, small_model: Model) -> list[Model]:
    """Versions 1 (the champion) and 2."""
    registered = [register(small_model), register(replace(small_model, threshold=0.61))]
    registry.promote(1)
    return registered


@pytest.fixture
def folder(tmp_path: Path) -> DurableFolder:
    return DurableFolder.on_disk(tmp_path / "models")


def started(registry: ModelStore, folder: DurableFolder) -> ChampionPoller:
    """As at a start of the job on this checkpoint."""
    return ChampionPoller(registry, ModelVersions(registry, folder), poll_seconds=0.02)


@pytest.fixture
def poller(registry: ModelStore, models: list[Model], folder: DurableFolder) -> Iterator[ChampionPoller]:  # noqa: ARG001
    polling = started(registry, folder)
    wanted = True
    polling.poll(lambda: wanted)
    yield polling
    wanted = False


def until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def files_of(registry: ModelStore, version: int) -> Path:
    uri = tracking.client(registry.uri).get_model_version_download_uri(registry.name, str(version))
    return Path(uri.removeprefix("file://"))


def away(registry: ModelStore) -> ModelStore:
    return replace(registry, uri="http://127.0.0.1:9")


def judged_by(model: Model) -> Versions:
    return Versions(model.version, name=model.name, model_digest=model.digest)


def same(one: Model, other: Model, rows: Floats) -> bool:
    return (one.threshold, one.anomaly_score(rows).tolist()) == (other.threshold, other.anomaly_score(rows).tolist())


def test_broken_champions_are_refused_and_the_next_good_one_is_taken_up(
    registry: ModelStore,
    models: list[Model],
    poller: ChampionPoller,
    register: Register,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert poller.current().digest == models[0].digest
    other = register(replace(models[0], features=("moon_phase", *models[0].features[1:]))).version
    corrupt = register(models[0]).version
    damage = files_of(registry, corrupt) / serialization.PLACE
    damage.write_bytes(damage.read_bytes()[:-1_000])
    empty = register(models[0]).version
    for file in sorted(files_of(registry, empty).rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    for version in (other, corrupt, empty):
        registry.promote(version)
        until(lambda version=version: f"version {version} is refused" in caplog.text, "it was not refused")  # type: ignore[misc]
        assert poller.current().version == 1
    registry.promote(2)
    until(lambda: poller.current().version == 2, "version 2 was not taken up")
    assert caplog.text.count(f"version {corrupt} is refused") == 1


def test_a_champion_whose_files_were_half_written_is_taken_up_once_they_are_whole(
    registry: ModelStore,
    models: list[Model],
    poller: ChampionPoller,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(champion, "_REFUSED_SECONDS", 0.2)
    file = files_of(registry, 2) / serialization.PLACE
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    registry.promote(2)
    until(lambda: "version 2 is refused" in caplog.text, "it was not refused")
    time.sleep(1)
    assert caplog.text.count("version 2 is refused") == 1  # however often it is looked at
    file.write_bytes(whole)
    until(lambda: poller.current().digest == models[1].digest, "it was not taken up")


def set_status(registry: ModelStore, version: int, status: str) -> None:
    """As a registry that takes its time has it; MLflow's own by file is always done at once."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(registry.uri.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE model_versions SET status = ? WHERE version = ?", (status, version))


def test_a_champion_that_is_still_being_registered_is_waited_for(
    registry: ModelStore, models: list[Model], poller: ChampionPoller, caplog: pytest.LogCaptureFixture
) -> None:
    set_status(registry, 2, "PENDING_REGISTRATION")
    registry.promote(2)
    until(lambda: "still being registered" in caplog.text, "nothing was said")
    assert poller.current().version == 1
    set_status(registry, 2, "READY")
    until(lambda: poller.current().digest == models[1].digest, "it was not taken up")


def test_a_champion_whose_registration_failed_is_refused(
    registry: ModelStore, poller: ChampionPoller, caplog: pytest.LogCaptureFixture
) -> None:
    set_status(registry, 2, "FAILED_REGISTRATION")
    registry.promote(2)
    until(lambda: "its registration failed" in caplog.text, "nothing was said")
    assert poller.current().version == 1


# Restarts


def delete_version(registry: ModelStore) -> ModelStore:
    tracking.client(registry.uri).delete_model_version(registry.name, "1")
    return registry


def delete_alias(registry: ModelStore) -> ModelStore:
    tracking.client(registry.uri).delete_registered_model_alias(registry.name, registry.alias)
    return registry


def rename(registry: ModelStore) -> ModelStore:
    tracking.client(registry.uri).rename_registered_model(registry.name, "another")
    return registry


def delete_artifacts(registry: ModelStore) -> ModelStore:
    for file in files_of(registry, 1).rglob("*"):
        if file.is_file():
            file.unlink()
    return registry


def empty_it(registry: ModelStore) -> ModelStore:
    return replace(registry, uri=registry.uri.replace("mlflow.db", "empty.db"))


@pytest.mark.parametrize("trouble", [delete_version, delete_alias, rename, delete_artifacts, empty_it, away])
def test_whatever_became_of_the_champion_a_restart_goes_on_with_the_model_used_last(
    registry: ModelStore,
    models: list[Model],
    folder: DurableFolder,
    features: Floats,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[ModelStore], ModelStore],
) -> None:
    started(registry, folder)
    caplog.clear()
    after = trouble(registry)
    again = started(after, folder)
    wanted = True
    again.poll(lambda: wanted)
    time.sleep(0.3)
    wanted = False
    assert again.current().digest == models[0].digest
    assert same(again.current(), models[0], features)
    said = [record for record in caplog.records if record.name.startswith("versions")]
    if trouble is delete_artifacts:  # the registry names the same version as before, and that is kept
        assert not said
    else:
        assert len(said) == 1
        assert "going on with version 1 of scoreline" in said[0].getMessage()
        assert "\n" not in said[0].getMessage()


@pytest.mark.parametrize("trouble", [delete_alias, delete_version])
def test_a_champion_that_vanishes_under_the_running_job_is_said_once(
    registry: ModelStore,
    models: list[Model],
    poller: ChampionPoller,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[ModelStore], ModelStore],
) -> None:
    trouble(registry)
    until(lambda: "has the alias 'champion'" in caplog.text, "nothing was said")
    time.sleep(0.5)
    assert caplog.text.count("has the alias 'champion'") == 1
    assert "scoring goes on with version 1 of scoreline" in caplog.text
    assert poller.current().digest == models[0].digest
    registry.promote(2)
    until(lambda: poller.current().digest == models[1].digest, "it was not taken up")


def test_without_any_model_the_start_says_so_in_one_line(registry: ModelStore, folder: DurableFolder) -> None:
    with pytest.raises(
        NoModel, match=r"there is no model to judge by: no version .*train one with `make train`"
    ) as caught:
        started(registry, folder)
    assert "\n" not in str(caught.value)


def test_a_registry_that_accepts_and_never_answers_holds_up_neither_a_start_nor_the_scoring(
    registry: ModelStore, models: list[Model], folder: DurableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "_START_SECONDS", 1.0)
    started(registry, folder)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = replace(registry, uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.monotonic()
        again = started(hanging, folder)
        again.poll(lambda: True)
        time.sleep(0.5)
        for _ in range(1_000):
            assert again.current().digest == models[0].digest
        assert time.monotonic() - begin < 5
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


# The wrong model under the right number


def rebuilt(registry: ModelStore, model: Model, features: Floats, name: str = "scoreline") -> ModelStore:
    """Another registry, whose version 1 is this model, and champion."""
    other = ModelStore(registry.uri.replace("mlflow.db", "rebuilt.db"), name)
    other.register(model, features)
    other.promote(1)
    return other


@pytest.mark.parametrize("name", ["scoreline", "cards"])
def test_version_1_of_another_registry_or_name_is_another_model(
    registry: ModelStore,
    models: list[Model],
    folder: DurableFolder,
    features: Floats,
    small_model: Model,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    old = started(registry, folder).current()
    other = rebuilt(registry, replace(small_model, threshold=0.7), features, name)
    new = started(other, folder).current()
    assert (new.name, new.version, new.threshold) == (name, 1, 0.7)
    assert new.digest != old.digest == models[0].digest
    assert f"version 1 of {name} ({new.digest[:16]}" in caplog.text
    assert "is another model than version 1 of scoreline" in caplog.text
    # What the ledger binds to the old one goes on with the old one, whichever registry is asked now.
    assert same(ModelVersions(other, folder).bound(judged_by(old)), models[0], features)
    assert same(ModelVersions(other, folder).bound(judged_by(new)), new, features)


def test_the_same_registry_built_again_under_the_running_job_is_noticed(
    registry: ModelStore,
    models: list[Model],
    poller: ChampionPoller,
    features: Floats,
    small_model: Model,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = tracking.client(registry.uri)
    registry.register(replace(small_model, threshold=0.7), features)
    client.delete_registered_model(registry.name)
    again = registry.register(replace(small_model, threshold=0.8), features)
    assert again.version == 1
    registry.promote(1)
    until(lambda: poller.current().threshold == 0.8, "it was not taken up")
    assert "is another model than version 1 of scoreline" in caplog.text
    assert poller.current().digest == again.digest != models[0].digest


def test_the_same_model_in_another_registry_is_the_same_model(
    registry: ModelStore, models: list[Model], folder: DurableFolder, features: Floats, caplog: pytest.LogCaptureFixture
) -> None:
    started(registry, folder)
    caplog.clear()
    assert started(rebuilt(registry, models[0], features), folder).current().digest == models[0].digest
    assert "another model" not in caplog.text


def test_a_kept_model_whose_content_is_not_its_digest_is_refused_in_words_and_had_from_the_registry_again(
    registry: ModelStore, models: list[Model], folder: DurableFolder, features: Floats
) -> None:
    kept = ModelVersions(registry, folder)
    one, two = (kept.of_entry(replace(registry.champion_entry(), version=v)) for v in (1, 2))
    for had in (one, two):
        kept.use(had)
    (file,) = (name for name in folder.names() if name.startswith(models[0].digest))
    folder.delete(file)
    folder.write(file, two.content or b"")  # put there by hand, or by a disk that mixes up its blocks
    with pytest.raises(ModelRefused, match=f"kept as the model {models[0].digest} is another one, {models[1].digest}"):
        kept.model(models[0].digest)
    with pytest.raises(ModelRefused, match=r"is another one.*nor can it be had from the registry"):
        ModelVersions(empty_it(registry), folder).bound(judged_by(models[0]))
    assert same(kept.bound(judged_by(models[0])), models[0], features)
    assert same(kept.model(models[0].digest), models[0], features)  # mended


def test_any_damage_to_a_kept_model_is_refused_or_does_not_matter(
    registry: ModelStore, models: list[Model], folder: DurableFolder, features: Floats
) -> None:
    kept = ModelVersions(registry, folder)
    kept.use(kept.of_entry(registry.champion_entry()))
    (file,) = (name for name in folder.names() if name.startswith(models[0].digest))
    content = folder.read(file) or b""
    random = np.random.default_rng(3)
    refused = 0
    damaged = [content[: int(cut)] for cut in random.integers(0, len(content), 10)]
    places = random.integers(0, len(content), 60)
    damaged += [content[:place] + random.bytes(8) + content[place + 8 :] for place in places]
    for each in damaged:
        folder.delete(file)
        folder.write(file, each)
        try:
            assert same(kept.model(models[0].digest), models[0], features)
        except ModelRefused:
            refused += 1
    assert refused > 40


def test_a_kept_model_whose_archive_names_another_compression_is_refused(
    registry: ModelStore, models: list[Model], folder: DurableFolder, features: Floats
) -> None:
    kept = ModelVersions(registry, folder)
    kept.use(kept.of_entry(registry.champion_entry()))
    (file,) = (name for name in folder.names() if name.startswith(models[0].digest))
    content = folder.read(file) or b""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        begin = archive.start_dir  # the arrays' file before it is an archive too
    entries = [begin + found.start() for found in re.finditer(b"PK\x01\x02", content[begin:])]
    assert len(entries) >= 4
    method = 10  # where in an entry of the archive's list its compression stands (APPNOTE.TXT, 4.3.12)
    for place, value in itertools.product(entries, (1, 8, 9, 12, 14, 93, 255)):
        folder.delete(file)
        folder.write(file, content[: place + method] + bytes([value]) + content[place + method + 1 :])
        with pytest.raises(ModelRefused, match=r"the kept file is damaged: \S"):
            kept.model(models[0].digest)
    folder.delete(file)
    folder.write(file, content)
    assert same(kept.model(models[0].digest), models[0], features)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"digest":"\xff"}]'])
def test_where_the_list_of_models_used_last_is_damaged_the_start_says_so_and_goes_on(
    registry: ModelStore, folder: DurableFolder, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_newest("used", content)
    assert ModelVersions(registry, folder).last is None
    assert "the file that says so is damaged" in caplog.text


@pytest.mark.parametrize("digest", ["\0", "d", "../models/x", "D" * 16, "d" * 15, "d" * 65, "é" * 32, "d1" * 8 + "\n"])
def test_what_a_score_of_others_gives_for_a_digest_names_no_file(
    registry: ModelStore, folder: DurableFolder, models: list[Model], digest: str
) -> None:
    kept = ModelVersions(registry, folder)
    kept.use(kept.of_entry(registry.champion_entry()))
    with pytest.raises(ModelRefused, match="16 to 64 hexadecimal digits"):
        kept.named(digest, 1)
    with pytest.raises(ModelRefused, match="16 to 64 hexadecimal digits"):
        kept.named(models[0].digest[:3], 1)
    assert kept.named(models[0].digest[:16], 1).digest == models[0].digest


def test_pickles_that_an_earlier_release_left_are_never_loaded(
    registry: ModelStore, models: list[Model], folder: DurableFolder, tmp_path: Path
) -> None:
    import pickle

    class Owner:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.mkdir, (tmp_path / "owned",)

    for name in ("1.pickle", f"{models[0].digest}.pickle", "used.0.pickle"):
        folder.write(name, pickle.dumps(Owner()))
    folder.write(f"{models[0].digest}.model", pickle.dumps(Owner()))
    kept = ModelVersions(away(registry), folder)
    with pytest.raises(ModelRefused, match="damaged"):
        kept.model(models[0].digest)
    assert started(registry, folder).current().digest == models[0].digest
    assert not (tmp_path / "owned").exists()


# Growth


@pytest.mark.usefixtures("models")
def test_of_many_models_those_are_kept_that_were_used_last_and_those_that_the_ledger_names(
    registry: ModelStore, folder: DurableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_models, "_KEPT", 3)
    kept = ModelVersions(registry, folder)
    had = kept.of_entry(registry.champion_entry())
    digests = [f"{number:064x}" for number in range(20)]
    for digest in digests:
        kept.use(had._replace(model=replace(had.model, digest=digest)))
        kept.purge({digests[0]})
    names = {name.removesuffix(".model") for name in folder.names() if name.endswith(".model")}
    assert names == {digests[0], *digests[-3:]}
    assert len(folder.names()) == len(names) + 1
    assert ModelVersions(registry, folder).last == kept.last
