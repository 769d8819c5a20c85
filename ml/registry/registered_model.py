"""What MLflow knows of one registered model: its versions, who has an alias, its tags, the params of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import RunData
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ml.model import Origin
from ml.registry import tracking
from ml.registry.registration import versions
from ml.registry.tracking import RegistryError, is_missing, talking_to

TRAIN: Final = "train one with `make train`"


@dataclass(frozen=True)
class Entry:
    """A version as its registry names it. A registry that was built again gives a version to another model: then the origin
    is another one."""

    version: int
    origin: Origin


@dataclass(frozen=True)
class RegisteredModel:
    """A model in one MLflow. uri: `http://host:port` or `sqlite:///path/to/file.db`."""

    uri: str
    name: str = "scoreline"

    @property
    def _client(self) -> MlflowClient:
        return tracking.client(self.uri)

    @property
    def address(self) -> str:
        """The uri without secrets."""
        return tracking.without_secrets(self.uri)

    def _holder(self, alias: str) -> ModelVersion | None:
        with talking_to(self.uri):
            try:
                return self._client.get_model_version_by_alias(self.name, alias)
            except MlflowException as error:
                if is_missing(error) or f"alias {alias} not found" in str(error):
                    return None
                raise

    def _version_of(self, alias: str) -> int | None:
        with talking_to(self.uri):
            found = self._holder(alias)
            return None if found is None else int(found.version)

    def _entry(self, version: ModelVersion) -> Entry:
        with talking_to(self.uri):
            origin = Origin(self.address, version.run_id or "", int(version.creation_timestamp or 0))
            return Entry(int(version.version), origin)

    def _versions(self) -> dict[int, ModelVersion]:
        return versions(self._client, self.name)

    def _known(self, version: int) -> dict[int, ModelVersion]:
        """All versions. Raises `RegistryError` where this is none of them."""
        known = self._versions()
        if version not in known:
            raise RegistryError(
                f"there is no version {version} of the model {self.name!r} in {self.address}; "
                + (f"there are {', '.join(map(str, sorted(known)))}" if known else TRAIN)
            )
        return known

    def _tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self._client.get_registered_model(self.name).tags
        return tags

    def _run_of(self, version: ModelVersion) -> RunData | None:
        """Params and metrics of the run that a version came from; None where it has none, or where that is deleted."""
        if not version.run_id:  # registered by hand, from files
            return None
        try:
            return self._client.get_run(version.run_id).data
        except MlflowException as error:
            if is_missing(error):
                return None
            raise
