"""One version for one registration, whatever becomes of the registry's answers."""

from typing import Final

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo

from ml.registry import tracking

_TAG: Final = "scoreline.registration"
"""Of a version: which registration it is of. MLflow would make another version at each request."""


def versions(client: MlflowClient, name: str) -> dict[int, ModelVersion]:
    """All versions of a model by number."""
    found: dict[int, ModelVersion] = {}
    token = None
    while token is None or token:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found |= {int(version.version): version for version in page}
        token = page.token or ""
    return found


def registered(client: MlflowClient, name: str, registration: str) -> ModelVersion | None:
    """The version that this registration has made already."""
    found = (version for version in versions(client, name).values() if version.tags.get(_TAG) == registration)
    return next(found, None)


def new_version(client: MlflowClient, name: str, logged: ModelInfo, run_id: str, registration: str) -> ModelVersion:
    """Make the version. Where the answer is lost, perhaps after the work was done, the registry is asked whether it was."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    try:
        with tracking.sent_once():
            return client.create_model_version(
                name, logged.model_uri, run_id, {_TAG: registration}, model_id=logged.model_id
            )
    except Exception as error:
        made = registered(client, name, registration) if tracking.connection_failure(error) is not None else None
        if made is None:
            raise
        return made
