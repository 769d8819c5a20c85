"""What a stored model must be to judge: each way in which it may be damaged, forged or another's is refused."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from ml.arrays import Floats
from ml.features import FEATURES
from ml.model import Model
from ml.registry import serialization, tracking
from ml.registry.model_store import ModelRefused, ModelStore

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def stored_folder(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, model: Model, features: Floats
) -> Path:
    """The files of one registered model, to be copied and damaged."""
    folder = tmp_path_factory.mktemp("stored")
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    ModelStore(uri).register(model, features)
    return tracking.download(uri, "scoreline", 1, folder / "files")


@pytest.fixture
def files(stored_folder: Path, tmp_path: Path) -> Path:
    """A copy of a registered model's files, for one test to damage."""
    return Path(shutil.copytree(stored_folder, tmp_path / "files"))


def read(folder: Path) -> Model:
    return serialization.read(folder, "scoreline", 1, FEATURES)


def edit_metadata(folder: Path, edit: Edit) -> None:
    description = yaml.safe_load((folder / "MLmodel").read_text())
    edit(description["metadata"])
    (folder / "MLmodel").write_text(yaml.safe_dump(description))


def test_anyone_can_serve_a_registered_model_by_mlflow_alone(files: Path, model: Model, features: Floats) -> None:
    served = mlflow.pyfunc.load_model(str(files))
    assert served.metadata.get_input_schema().input_names() == list(FEATURES)
    assert served.input_example.to_numpy().tolist() == features[:5].tolist()
    judged = served.predict(pd.DataFrame(features, columns=list(FEATURES)))
    assert judged["anomaly_score"].tolist() == model.anomaly_score(features).tolist()
    assert judged["is_anomaly"].tolist() == model.is_anomaly(model.anomaly_score(features)).tolist()


@pytest.mark.parametrize("loader", ["ml.stored", "ml.registry.serialization"])
def test_every_loader_that_registered_models_name_is_there(files: Path, features: Floats, loader: str) -> None:
    text = (files / "MLmodel").read_text()
    (files / "MLmodel").write_text(re.sub("loader_module: .*", f"loader_module: {loader}", text))
    judged = mlflow.pyfunc.load_model(str(files)).predict(pd.DataFrame(features, columns=list(FEATURES)))
    assert len(judged) == len(features)


@pytest.mark.parametrize("name", [serialization.PLACE, "MLmodel"])
def test_a_file_damaged_anywhere_is_refused_or_does_not_matter(
    files: Path, model: Model, features: Floats, name: str
) -> None:
    content = (files / name).read_bytes()
    random = np.random.default_rng(5)
    refused = 0
    for place in random.integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place : place + 8] = random.bytes(8)
        (files / name).write_bytes(damaged)
        try:
            again = read(files)
        except ModelRefused:
            refused += 1
            continue
        assert again.anomaly_score(features[:50]).tolist() == model.anomaly_score(features[:50]).tolist()
    assert refused >= (30 if name == serialization.PLACE else 5)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"segments":[{"name":"\xff"}]}', b'{"\xff'])
def test_a_reference_that_can_not_be_read_is_refused(files: Path, content: bytes) -> None:
    (files / serialization.PLACE).with_name("reference.json").write_bytes(content)
    with pytest.raises(ModelRefused, match=r"its file reference\.json can't be read: \S"):
        read(files)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda m: m.pop("threshold"), "missing required field `threshold`"),
        (lambda m: m.update(threshold=None), "Expected `float`.*threshold"),
        (lambda m: m.update(threshold=float("nan")), "its threshold is nan"),
        (lambda m: m.update(threshold=1.5), "its threshold is 1.5"),
        (lambda m: m.update(threshold="high"), "Expected `float`, got `str`.*threshold"),
        (lambda m: m.pop("features"), "missing required field `features`"),
        (lambda m: m["features"].__setitem__(3, "moon_phase"), r"not computed here \(moon_phase\)"),
        (lambda m: m["features"].__setitem__(3, m["features"][4]), "the same one twice"),
        (lambda m: m["features"].clear(), "names no feature"),
        (lambda m: m["features"].remove("speed_kmh"), "too few"),
        (lambda m: m["features"].append("moon_phase"), r"not computed here \(moon_phase\)"),
        (lambda m: m.update(features=17), "Expected `array`.*features"),
        (lambda m: m["usual"].pop(), "usual ranges"),
        (lambda m: m["usual"].__setitem__(0, [0.0, 1.0, float("inf")]), "usual ranges"),
        (lambda m: m.update(usual="wide"), "Expected `array`.*usual"),
        (lambda m: m.update(probe_scores=[0.5, 0.5, 0.5, 0.5]), "does not score as it did"),
        (lambda m: m.update(probe_scores=[]), "does not score as it did"),
        (lambda m: m.update(probe_scores="none"), "Expected `array`.*probe_scores"),
    ],
)
def test_metadata_that_can_not_be_judged_by_is_refused(files: Path, edit: Edit, reason: str) -> None:
    edit_metadata(files, edit)
    with pytest.raises(ModelRefused, match=reason):
        read(files)


Change = Callable[[dict[str, np.ndarray]], object]


def edit_arrays(folder: Path, change: Change) -> None:
    with np.load(folder / serialization.PLACE) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(folder / serialization.PLACE, **arrays)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda a: a["trees.feature"].__setitem__((0, 0), 1_000_000),
            f"splits by a feature that is not among the {len(FEATURES)}",
        ),
        (
            lambda a: a["trees.feature"].__setitem__((0, 0), -1),
            f"splits by a feature that is not among the {len(FEATURES)}",
        ),
        (lambda a: a["trees.leaf"].__setitem__((0, 0), np.nan), "not finite"),
        (lambda a: a.update({"trees.leaf": a["trees.leaf"][:, :-1]}), "perfect layouts"),
        (lambda a: a.update({"trees.threshold": a["trees.threshold"].astype(np.float64)}), "perfect layouts"),
        (lambda a: a.update({"trees.features": np.array(16)}), "not among the 16"),
        (lambda a: a.pop("trees.leaf"), "leaf"),
        (lambda a: a.pop("kind"), "kind"),
        (lambda a: a.update(kind=np.array("oracle")), "unknown kind 'oracle'; known are isolation"),
        (lambda a: a.update(kind=np.array("votes")), "scale|longest|bias"),
        (lambda a: a.update(longest=np.array(0.0)), "above 0"),
        (lambda a: a["trees.leaf"].__setitem__(slice(None), a["trees.leaf"] + 0.1), "does not score as it did"),
        (lambda a: a["trees.leaf"].__setitem__(slice(None), -9.0), r"outside \[0, 1\]"),
    ],
)
def test_arrays_that_are_no_sound_scorer_are_refused(files: Path, change: Change, reason: str) -> None:
    edit_arrays(files, change)
    with pytest.raises(ModelRefused, match=reason):
        read(files)


def test_pickled_objects_are_refused_and_not_run(files: Path, tmp_path: Path) -> None:
    class Owner:
        def __reduce__(self) -> Any:
            return Path.mkdir, (tmp_path / "owned",)

    np.savez(files / serialization.PLACE, kind=np.array([Owner()], object))
    with pytest.raises(ModelRefused, match="allow_pickle=False"):
        read(files)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_of_arrays_is_refused(files: Path, content: bytes) -> None:
    (files / serialization.PLACE).write_bytes(content)
    with pytest.raises(ModelRefused, match="can't be read"):
        read(files)
