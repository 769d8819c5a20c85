"""A model moves from one registry to another, and judges there as it did here, on real MLflows."""

import shutil
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
