"""The registry of models in MLflow: which versions exist, and how one is registered and read."""

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ml.arrays import Floats
from ml.features.available import available
from ml.model import Model
from ml.registry import packed, serialization, tracking
from ml.registry.aliases import Aliases, NoChampion, OnTrial
from ml.registry.promotion_history import Check, Event, Note, Terms
from ml.registry.refusals import ModelRefused, NotReady, refuse_unfinished
from ml.registry.registered_model import Entry
from ml.registry.registration import new_version, registered
from ml.registry.tracking import RegistryError, RegistryUnavailable, is_missing, talking_to

__all__ = [
    "Check",
    "Entry",
    "Event",
    "ModelRefused",
    "ModelStore",
    "NoChampion",
    "NotReady",
    "Note",
    "OnTrial",
    "Registered",
    "RegistryError",
    "RegistryUnavailable",
    "Terms",
]


@dataclass(frozen=True)
class Registered:
    """One registered version, as a table shows it; params and metrics of its training run, empty where that is gone."""

    version: int
    aliases: tuple[str, ...]
    trained_at: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ModelStore(Aliases):
    """The versions of one model in one MLflow, and the aliases that name those in use.

    extras: those that are declared, so that a model may need them. Every method raises `RegistryUnavailable` where MLflow does
    not answer.
    """

    extras: tuple[str, ...] = ()

    def load(self, version: int, extras: Sequence[str] = ()) -> Model:
        """A version, checked by `serialization.read`. Raises `ModelRefused` where it must not be used, `NotReady` if not yet.

        extras: more of them that it may need.
        """
        with self.stored(version, extras) as (model, _):
            return model

    def fetch(self, version: int) -> tuple[Model, bytes]:
        """The same, and the model as one file (see `ml.registry.packed`)."""
        with self.stored(version) as (model, folder):
            return model, packed.pack(folder, model)

    @contextmanager
    def stored(self, version: int, extras: Sequence[str] | None = ()) -> Iterator[tuple[Model, Path]]:
        """A version that was checked, and the folder of its files, which is gone afterwards. extras: None: it may need any."""
        with tempfile.TemporaryDirectory(prefix="scoreline-model-") as folder, talking_to(self.uri):
            try:
                found = self._client.get_model_version(self.name, str(version))
                refuse_unfinished(found)
                path = tracking.download(self.uri, self.name, version, Path(folder))
            except (MlflowException, OSError) as error:
                if tracking.connection_failure(error):
                    raise
                missing = isinstance(error, MlflowException) and is_missing(error)
                raise ModelRefused(
                    "there is no such version" if missing else f"its files are not available: {error}"
                ) from error
            allowed = None if extras is None else (*self.extras, *extras)
            model = serialization.read(path, self.name, version, available(), allowed)
            yield replace(model, origin=self._entry(found).origin), path

    def register(
        self,
        model: Model,
        example: Floats,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        registration: str = "",
    ) -> Model:
        """Store a trained model as the newest version, with the run that made it; returns it under its version.

        example: rows of features (n, len(model.features)), of which the first few are stored with it. registration: the same
        again makes no second version, and returns the first; an empty one is like no other.
        """
        registration = registration or uuid.uuid4().hex
        with talking_to(self.uri), tracking.chosen(self.uri):
            if (made := registered(self._client, self.name, registration)) is not None:
                return self.load(int(made.version), list(model.extras))
            with tracking.run(self.uri, self.name) as run_id:
                mlflow.log_params({"budget": model.budget, "features": ",".join(model.features), **(params or {})})
                mlflow.log_metrics({"threshold": model.threshold, **(metrics or {})})
                logged, digest = serialization.log(model, example)
            # As the last of all: a registry that ends before this has no version, and one that ends after it has all of it.
            entry = self._entry(new_version(self._client, self.name, logged, run_id, registration))
        return replace(model, name=self.name, version=entry.version, digest=digest, origin=entry.origin)

    def registered_as(self, registration: str) -> int | None:
        """The version that a registration has made; None where it has not been made yet."""
        with talking_to(self.uri):
            found = registered(self._client, self.name, registration)
            return None if found is None else int(found.version)

    def models(self) -> list[Registered]:
        """All versions, the newest first."""
        with talking_to(self.uri):
            versions = self._versions()
            aliases = self._client.get_registered_model(self.name).aliases if versions else {}
            named = {v: tuple(sorted(a for a, of in aliases.items() if int(of) == v)) for v in versions}
            return [self._row(versions[v], named[v]) for v in sorted(versions, reverse=True)]

    def training(self, version: int) -> Registered:
        """One version, with what is known of its training."""
        with talking_to(self.uri):
            return self._row(self._client.get_model_version(self.name, str(version)), ())

    def _row(self, version: ModelVersion, aliases: tuple[str, ...]) -> Registered:
        trained_at = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        unknown = Registered(int(version.version), aliases, trained_at, {}, {})
        run = self._run_of(version)
        return unknown if run is None else replace(unknown, params=run.params, metrics=run.metrics)
