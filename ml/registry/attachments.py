"""Files that are kept with a model version's training run, for people to look at."""

from pathlib import Path

from mlflow.exceptions import MlflowException

from ml.registry import tracking
from ml.registry.model_store import ModelStore, RegistryError


def attach(registry: ModelStore, version: int, file: Path) -> None:
    """Keep a file among the artifacts of the run that a version came from. Raises `RegistryError` where that can't be."""
    client = tracking.client(registry.uri)
    with tracking.talking_to(registry.uri):
        try:
            run_id = client.get_model_version(registry.name, str(version)).run_id
        except MlflowException as error:
            if tracking.is_missing(error):
                raise RegistryError(f"there is no version {version} of {registry.name}") from error
            raise
        if not run_id:
            raise RegistryError(f"version {version} of {registry.name} has no run to keep {file.name} with")
        client.log_artifact(run_id, str(file))
