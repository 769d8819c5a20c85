"""What a stored model must be to judge: each way in which it may be damaged, forged or another's is refused."""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml

from ml import stored, tracking
from ml.features import FEATURES
from ml.model import Floats, Model, fit, forest_of
from ml.registry import ModelRefused, Registry

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def stored_folder(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, model: Model, features: Floats
) -> Path:
    """The files of one registered model, to be copied and damaged."""
    folder = tmp_path_factory.mktemp("stored")
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    Registry(uri).register(model, features)
    return tracking.download(uri, "scoreline", 1, folder / "files")


@pytest.fixture
def files(stored_folder: Path, tmp_path: Path) -> Path:
    """A copy of a registered model's files, for one test to damage."""
    return Path(shutil.copytree(stored_folder, tmp_path / "files"))


def read(folder: Path) -> Model:
    return stored.read(folder, "scoreline", 1, FEATURES)


def edit_metadata(folder: Path, edit: Edit) -> None:
    description = yaml.safe_load((folder / "MLmodel").read_text())
    edit(description["metadata"])
    (folder / "MLmodel").write_text(yaml.safe_dump(description))


def test_anyone_can_serve_a_registered_model_by_mlflow_alone(files: Path, model: Model, features: Floats) -> None:
    served = mlflow.pyfunc.load_model(str(files))
    assert served.metadata.get_input_schema().input_names() == list(FEATURES)
    assert served.input_example.to_numpy().tolist() == features[:5].tolist()
    judged = served.predict(pd.DataFrame(features, columns=list(FEATURES)))
    assert (judged == -1).tolist() == model.is_anomaly(model.anomaly_score(features)).tolist()


@pytest.mark.parametrize("name", [stored.FILE, "MLmodel"])
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
    assert refused >= (30 if name == stored.FILE else 5)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda m: m.pop("threshold"), "missing required field `threshold`"),
        (lambda m: m.update(threshold=None), "Expected `float`.*threshold"),
        (lambda m: m.update(threshold=float("nan")), "its threshold is nan"),
        (lambda m: m.update(threshold=1.5), "its threshold is 1.5"),
        (lambda m: m.update(threshold="high"), "Expected `float`, got `str`.*threshold"),
        (lambda m: m.pop("features"), "missing required field `features`"),
        (lambda m: m["features"].reverse(), "another order"),
        (lambda m: m["features"].remove("speed_kmh"), "lacks speed_kmh"),
        (lambda m: m["features"].append("moon_phase"), "has moon_phase beyond"),
        (lambda m: m.update(features=17), "Expected `array`.*features"),
        (lambda m: m["usual"].pop(), "usual ranges"),
        (lambda m: m["usual"].__setitem__(0, [0.0, float("inf")]), "usual ranges"),
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


def test_a_forest_that_claims_other_features_than_its_metadata_is_refused(files: Path, features: Floats) -> None:
    names = [*FEATURES[:-1], "new_browser"]
    skops.io.dump(fit(features, names, seed=1), files / stored.FILE)
    with pytest.raises(ModelRefused, match="can't score"):
        read(files)


def test_another_forest_in_its_place_is_refused(files: Path, features: Floats) -> None:
    skops.io.dump(fit(features, FEATURES, seed=2), files / stored.FILE)
    with pytest.raises(ModelRefused, match="does not score as it did"):
        read(files)


@pytest.mark.parametrize(("lengths", "reason"), [(np.nan, "not finite"), (-9.0, r"outside \(0, 1\)")])
def test_scores_that_are_no_scores_are_refused(files: Path, lengths: float, reason: str) -> None:
    pipeline = skops.io.load(files / stored.FILE, trusted=stored.TRUSTED)
    forest_of(pipeline)._average_path_length_per_tree = [
        np.full(len(per_node), lengths) for per_node in forest_of(pipeline)._average_path_length_per_tree
    ]
    skops.io.dump(pipeline, files / stored.FILE)
    with pytest.raises(ModelRefused, match=reason):
        read(files)


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_a_tree_that_points_outside_itself_is_refused_before_it_can_crash_the_process(files: Path, field: str) -> None:
    pipeline = skops.io.load(files / stored.FILE, trusted=stored.TRUSTED)
    tree = forest_of(pipeline).estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = 1_000_000
    tree.__setstate__(state)
    skops.io.dump(pipeline, files / stored.FILE)
    with pytest.raises(ModelRefused, match="sound Isolation Forest"):
        read(files)


@pytest.mark.parametrize("thing", [{"a": 1}, fit(np.eye(4), "abcd", 0).named_steps["forest"]])
def test_what_is_no_pipeline_is_refused(files: Path, thing: object) -> None:
    skops.io.dump(thing, files / stored.FILE)
    with pytest.raises(ModelRefused, match="can't be read"):
        read(files)


def test_a_stored_model_can_not_bring_its_own_trust(files: Path, tmp_path: Path) -> None:
    """MLflow itself believes the list of trusted types that a model brings along; then loading one runs what it likes."""
    skops.io.dump(functools.partial(os.mkdir, str(tmp_path / "owned")), files / stored.FILE)
    description = yaml.safe_load((files / "MLmodel").read_text())
    description["flavors"]["sklearn"]["skops_trusted_types"] = skops.io.get_untrusted_types(file=files / stored.FILE)
    (files / "MLmodel").write_text(yaml.safe_dump(description))
    with pytest.raises(ModelRefused, match="Untrusted types"):
        read(files)
