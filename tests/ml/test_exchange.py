"""A model moves from one registry to another, and judges there as it did here, on real MLflows."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ml.arrays import Floats
from ml.model import Model
from ml.registry import exchange, serialization
from ml.registry.model_store import ModelRefused, ModelStore, RegistryError
from tests.ml.conftest import Run


@pytest.fixture
def other(tmp_path: Path, empty_database: Path) -> ModelStore:
    """A second registry, in which the model has another name."""
    file = tmp_path / "other" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(empty_database, file)
    return ModelStore(f"sqlite:///{file}", "cards")


def test_the_round_trip_gives_the_same_judgement_bit_for_bit(
    registry: ModelStore, other: ModelStore, model: Model, features: Floats, tmp_path: Path
) -> None:
    registry.register(
        replace(model, decline_threshold=0.9), features, {"rows": 5_000, "seed": 4}, {"alert_share_check_part": 0.004}
    )
    before = registry.load(1)
    exchange.export(registry, 1, tmp_path / "folder")
    other.register(model, features)
    came = exchange.imported(other, tmp_path / "folder")
    assert (came.name, came.version, came.digest) == ("cards", 2, before.digest)
    after = other.load(2)
    assert after.anomaly_score(features).tobytes() == before.anomaly_score(features).tobytes()
    assert after.reasons(features[:20]) == before.reasons(features[:20])
    assert (after.threshold, after.decline_threshold, after.budget, after.digest) == (
        *(before.threshold, 0.9, before.budget, before.digest),
    )
    assert after.usual.tobytes() == before.usual.tobytes()
    row = other.training(2)
    assert (row.params["rows"], row.params["seed"], row.metrics["alert_share_check_part"]) == ("5000", "4", 0.004)


def test_the_card_names_data_features_figures_gate_and_limits(
    registry: ModelStore, model: Model, features: Floats, tmp_path: Path
) -> None:
    registry.register(
        model, features, {"history": "/data/march", "labels": 0, "rows": 5_000}, {"alert_share_check_part": 0.004}
    )
    registry.keep_report(1, '{"passed":true}')
    exchange.export(registry, 1, tmp_path / "folder")
    text = (tmp_path / "folder" / exchange.CARD).read_text()
    for said in (
        *("# scoreline, version 1", "| history | /data/march |", "| alert_share_check_part | 0.004 |"),
        *('{"passed":true}', "## Limits", "It has seen no label", "no decline threshold", registry.load(1).digest),
        *(f"| {name} |" for name in model.features),
    ):
        assert said in text, said


def test_what_is_there_already_is_not_written_over_and_what_is_damaged_is_not_imported(
    registry: ModelStore, other: ModelStore, model: Model, features: Floats, tmp_path: Path
) -> None:
    registry.register(model, features)
    folder = tmp_path / "folder"
    exchange.export(registry, 1, folder)
    with pytest.raises(RegistryError, match="is there already"):
        exchange.export(registry, 1, folder)
    with pytest.raises(ModelRefused, match="no such version"):
        exchange.export(registry, 7, tmp_path / "another")
    assert not (tmp_path / "another").exists()
    (folder / serialization.PLACE).write_bytes(b"")
    with pytest.raises(ModelRefused, match=r"scorer\.npz can't be read"):
        exchange.imported(other, folder)
    with pytest.raises(ModelRefused, match="no such folder"):
        exchange.imported(other, tmp_path / "nowhere")
    assert other.models() == []


def test_the_commands(run: Run, registry: ModelStore, small_model: Model, features: Floats, tmp_path: Path) -> None:
    registry.register(small_model, features)
    folder = str(tmp_path / "folder")
    status, out, _ = run("models", "export", "1", folder)
    assert (status, out.startswith("version 1 of scoreline (")) == (0, True)
    status, out, _ = run("models", "import", folder)
    assert (status, out.startswith("version 2 of scoreline (")) == (0, True)
    assert registry.load(1).digest == registry.load(2).digest
    assert "version 9 is not exported: there is no such version" in run("models", "export", "9", folder + "x")[2]
    assert "is not imported: there is no such folder" in run("models", "import", folder + "y")[2]


def _nested(folder: Path) -> None:
    (folder / "training.json").write_text('{"more":' + "[" * 100_000)


def _other_reference(folder: Path) -> None:
    file = folder / serialization.ARRAYS / "drift.json"
    file.write_text("{}")


def _as(kind: Callable[[Path], object], name: str) -> Callable[[Path], None]:
    """Makes a file something else."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        kind(folder / name)

    return change


def _endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _huge(file: Path) -> None:
    file.touch()
    os.truncate(file, 1 << 40)


FILES = (
    "MLmodel",
    "training.json",
    serialization.PLACE,
    *(f"{serialization.ARRAYS}/{n}.json" for n in ("drift", "reference")),
)
TAMPERED: dict[str, Callable[[Path], None]] = {
    "a file more": lambda folder: (folder / serialization.ARRAYS / "more.txt").write_text("x") and None,
    "another threshold": lambda folder: (folder / serialization.ARRAYS / "threshold.json").write_text("0.0") and None,
    "no threshold": lambda folder: (folder / serialization.ARRAYS / "threshold.json").unlink(),
    "another reference": _other_reference,
    "nested": _nested,
    **{
        f"{name}: {kind.__name__}": _as(kind, name)
        for kind in (Path.mkdir, os.mkfifo, _endless, _huge)
        for name in FILES
    },
}


def test_whatever_was_done_to_a_folder_it_is_refused_in_words_and_nothing_is_registered(
    registry: ModelStore, other: ModelStore, small_model: Model, features: Floats, tmp_path: Path
) -> None:
    registry.register(small_model, features)
    exchange.export(registry, 1, tmp_path / "folder")
    for number, (what, change) in enumerate(TAMPERED.items()):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "folder", folder)
        change(folder)
        with pytest.raises(ModelRefused, match=r"its files? "):
            pytest.fail(f"{what} is imported as {exchange.imported(other, folder)}")
    assert other.models() == []
    assert exchange.imported(other, tmp_path / "folder").version == 1


def test_a_folder_whose_digest_is_taken_out_is_imported_only_as_what_it_holds(
    registry: ModelStore, other: ModelStore, small_model: Model, features: Floats, tmp_path: Path
) -> None:
    registry.register(small_model, features)
    exchange.export(registry, 1, tmp_path / "folder")
    file = tmp_path / "folder" / "training.json"
    file.write_text(
        json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "digest"})
    )
    (tmp_path / "folder" / serialization.ARRAYS / "threshold.json").write_text("0.0")
    with pytest.raises(ModelRefused, match="a file was added or changed"):
        exchange.imported(other, tmp_path / "folder")
    assert other.models() == []


@pytest.mark.parametrize("place", [".", "..", "/", "", "link"])
def test_what_is_no_new_folder_is_refused_by_the_export(
    run: Run,
    registry: ModelStore,
    small_model: Model,
    features: Floats,
    tmp_path: Path,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.register(small_model, features)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("elsewhere")
    status, _, said = run("models", "export", "1", place)
    assert (status, "is there already" in said) == (1, True)
