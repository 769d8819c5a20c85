"""The registry of models in MLflow: which versions exist, which one is the champion, and how to change that."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo

from ml.arrays import Floats
from ml.features.available import available
from ml.model import Model, Origin
from ml.registry import packed, promotion_history, serialization, tracking
from ml.registry.refusals import ModelRefused, NotReady, refuse_unfinished
from ml.registry.tracking import RegistryError, RegistryUnavailable, is_missing, talking_to

__all__ = [
    "Entry",
    "ModelRefused",
    "ModelStore",
    "NoChampion",
    "NotReady",
    "Registered",
    "RegistryError",
    "RegistryUnavailable",
]

_TRAIN: Final = "train one with `make train`"


class NoChampion(RegistryError):
    """No version has the alias that judging follows."""


@dataclass(frozen=True)
class Entry:
    """A version as its registry names it. A registry that was built again gives a version to another model: then the origin
    is another one."""

    version: int
    origin: Origin


@dataclass(frozen=True)
class Registered:
    """One registered version, as a table shows it; params and metrics of its training run, empty where that is gone."""

    version: int
    aliases: tuple[str, ...]
    trained_at: datetime
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ModelStore:
    """The versions of one model in one MLflow, and the alias that names the version in use.

    uri: `http://host:port` or `sqlite:///path/to/file.db`. extras: those that are declared, so that a model may need them.
    Every method raises `RegistryUnavailable` where MLflow does not answer.
    """

    uri: str
    name: str = "scoreline"
    alias: str = "champion"
    extras: tuple[str, ...] = ()

    @property
    def _client(self) -> MlflowClient:
        return tracking.client(self.uri)

    def champion(self) -> int:
        """The version that has the alias: a millisecond by sqlite, five over HTTP. Raises `NoChampion` where there is none."""
        return self.champion_entry().version

    def champion_entry(self) -> Entry:
        """The version that has the alias, with its origin. Raises `NoChampion` where there is none."""
        found = self._champion()
        if found is None:
            raise NoChampion(
                f"no version of the model {self.name!r} in {self.address} has the alias {self.alias!r}; "
                f"{_TRAIN}, or name one with `python -m ml promote VERSION`"
            )
        return found

    @property
    def address(self) -> str:
        """The uri without secrets."""
        return tracking.without_secrets(self.uri)

    def check(self) -> None:
        """Ask for anything at all. Raises `RegistryUnavailable` or `RegistryError` where the registry can't be used."""
        self._champion()

    def _champion(self) -> Entry | None:
        with talking_to(self.uri):
            try:
                return self._entry(self._client.get_model_version_by_alias(self.name, self.alias))
            except MlflowException as error:
                if is_missing(error) or f"alias {self.alias} not found" in str(error):
                    return None
                raise

    def _entry(self, version: ModelVersion) -> Entry:
        origin = Origin(self.address, version.run_id or "", int(version.creation_timestamp or 0))
        return Entry(int(version.version), origin)

    def load(self, version: int, extras: Sequence[str] = ()) -> Model:
        """A version, checked by `serialization.read`. Raises `ModelRefused` where it must not be used, `NotReady` if not yet.

        extras: more of them that it may need.
        """
        with self._stored(version, extras) as (model, _):
            return model

    def fetch(self, version: int) -> tuple[Model, bytes]:
        """The same, and the model as one file (see `ml.registry.packed`)."""
        with self._stored(version) as (model, folder):
            return model, packed.pack(folder, model)

    @contextmanager
    def _stored(self, version: int, extras: Sequence[str] = ()) -> Iterator[tuple[Model, Path]]:
        """A version that was checked, and the folder of its files."""
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
            model = serialization.read(path, self.name, version, available(), (*self.extras, *extras))
            yield replace(model, origin=self._entry(found).origin), path

    def register(
        self,
        model: Model,
        example: Floats,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> Model:
        """Store a trained model as the newest version, with the run that made it; returns it under its version.

        example: rows of features (n, len(model.features)), of which the first few are stored with it.
        """
        with talking_to(self.uri), tracking.chosen(self.uri):
            with tracking.run(self.uri, self.name) as run_id:
                mlflow.log_params({"budget": model.budget, "features": ",".join(model.features), **(params or {})})
                mlflow.log_metrics({"threshold": model.threshold, **(metrics or {})})
                logged, digest = serialization.log(model, example)
            # As the last of all: a registry that ends before this has no version, and one that ends after it has all of it.
            entry = self._entry(self._new_version(logged, run_id))
        return replace(model, name=self.name, version=entry.version, digest=digest, origin=entry.origin)

    def _new_version(self, logged: ModelInfo, run_id: str) -> ModelVersion:
        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._client.create_model_version(self.name, logged.model_uri, run_id, model_id=logged.model_id)

    def promote(self, version: int) -> None:
        """Give a version the alias. What judges by the alias takes it up at once, or refuses it with a reason."""
        with talking_to(self.uri):
            if version not in (known := self._versions()):
                raise RegistryError(
                    f"there is no version {version} of the model {self.name!r} in {self.address}; "
                    + (f"there are {', '.join(map(str, sorted(known)))}" if known else _TRAIN)
                )
            history = promotion_history.promoted(self._history(), self._champion_version(), version)
            # In this order: a promotion that was interrupted after its first half is rolled back to the right version.
            self._client.set_registered_model_alias(self.name, self.alias, str(version))
            self._remember(history)

    def rollback(self) -> int:
        """Give the alias back to the champion before this one, and return its version; again, and to the one before that."""
        with talking_to(self.uri):
            known = self._versions()
            history = promotion_history.rolled_back(self._history() if known else [], self._champion_version())
            history = [version for version in history if version in known]
            if not history:
                raise RegistryError(
                    f"the model {self.name!r} had no champion before this one; promote what `python -m ml models` lists"
                )
            self._remember(history)  # the other order than in `promote`, for the same reason
            self._client.set_registered_model_alias(self.name, self.alias, str(history[-1]))
            return history[-1]

    def _champion_version(self) -> int | None:
        found = self._champion()
        return None if found is None else found.version

    def models(self) -> list[Registered]:
        """All versions, the newest first."""
        with talking_to(self.uri):
            versions = self._versions()
            aliases = self._client.get_registered_model(self.name).aliases if versions else {}
            named = {v: tuple(sorted(a for a, of in aliases.items() if int(of) == v)) for v in versions}
            return [self._row(versions[v], named[v]) for v in sorted(versions, reverse=True)]

    def _versions(self) -> dict[int, ModelVersion]:
        found: dict[int, ModelVersion] = {}
        token = None
        while token is None or token:
            page = self._client.search_model_versions(f"name = '{self.name}'", page_token=token)
            found |= {int(version.version): version for version in page}
            token = page.token or ""
        return found

    def _row(self, version: ModelVersion, aliases: tuple[str, ...]) -> Registered:
        trained_at = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        unknown = Registered(int(version.version), aliases, trained_at, {}, {})
        if not version.run_id:  # registered by hand, from files
            return unknown
        try:
            run = self._client.get_run(version.run_id).data
        except MlflowException as error:
            if is_missing(error):
                return unknown
            raise
        return replace(unknown, params=run.params, metrics=run.metrics)

    @property
    def _history_tag(self) -> str:
        return f"scoreline.{self.alias}.history"

    def _history(self) -> list[int]:
        tags = self._client.get_registered_model(self.name).tags
        return [int(version) for version in tags.get(self._history_tag, "").split(",") if version]

    def _remember(self, history: list[int]) -> None:
        self._client.set_registered_model_tag(self.name, self._history_tag, ",".join(map(str, history)))
