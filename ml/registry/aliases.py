"""Which version of a model is the champion, which was before it, and which is on trial; each change is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ml.model import Origin
from ml.registry import promotion_history, tracking
from ml.registry.promotion_history import Action, Event, Note
from ml.registry.registration import versions
from ml.registry.tracking import RegistryError, is_missing, talking_to

CHAMPION: Final = "champion"
TRAIN: Final = "train one with `make train`"

DATA_PARAMS: Final = (
    "detector",
    "history",
    "history_sha256",
    "history_until",
    "rows",
    "customers",
    "labels",
    "budget",
    "seed",
)
"""Of a training run's params, those that an event repeats, since a run may be deleted."""

_NOBODY: Final = Note()


class NoChampion(RegistryError):
    """No version has the alias that judging follows."""


@dataclass(frozen=True)
class Entry:
    """A version as its registry names it. A registry that was built again gives a version to another model: then the origin
    is another one."""

    version: int
    origin: Origin


@dataclass(frozen=True)
class Aliases:
    """The aliases of one model in one MLflow: the champion's, which judging follows, `previous` and `challenger`.

    uri: `http://host:port` or `sqlite:///path/to/file.db`. Where the champion's alias has another name, such as `live`, the
    others are `live-previous` and `live-challenger`. Every method raises `RegistryUnavailable` where MLflow does not answer.
    """

    uri: str
    name: str = "scoreline"
    alias: str = CHAMPION

    @property
    def _client(self) -> MlflowClient:
        return tracking.client(self.uri)

    @property
    def address(self) -> str:
        """The uri without secrets."""
        return tracking.without_secrets(self.uri)

    def champion(self) -> int:
        """The version that has the alias: a millisecond by sqlite, five over HTTP. Raises `NoChampion` where there is none."""
        return self.champion_entry().version

    def champion_entry(self) -> Entry:
        """The version that has the alias, with its origin. Raises `NoChampion` where there is none."""
        found = self._holder(self.alias)
        if found is None:
            raise NoChampion(
                f"no version of the model {self.name!r} in {self.address} has the alias {self.alias!r}; "
                f"{TRAIN}, or name one with `python -m ml promote VERSION`"
            )
        return self._entry(found)

    def challenger_entry(self) -> Entry | None:
        """The version that is on trial; None where there is none, or where it has become champion."""
        found = self._holder(self._other("challenger"))
        return None if found is None else self._entry(found)

    def check(self) -> None:
        """Ask for anything at all. Raises `RegistryUnavailable` or `RegistryError` where the registry can't be used."""
        self._holder(self.alias)

    def promote(self, version: int, note: Note = _NOBODY) -> None:
        """Make a version the champion. What judges by the alias takes it up at once, or refuses it with a reason."""
        with talking_to(self.uri):
            self._known(version)
            champion = self._version_of(self.alias)
            history = promotion_history.promoted(self._history(), champion, version)
            # In this order: a promotion that was interrupted is rolled back to the right version, and its record is not lost.
            self._record("promote", version, champion, note)
            self._client.set_registered_model_alias(self.name, self.alias, str(version))
            self._remember(history)
            if self._version_of(self._other("challenger")) == version:
                self._client.delete_registered_model_alias(self.name, self._other("challenger"))

    def rollback(self, note: Note = _NOBODY) -> int:
        """Give the alias back to the champion before this one, and return its version; again, and to the one before that."""
        with talking_to(self.uri):
            known, champion = self._versions(), self._version_of(self.alias)
            history = promotion_history.rolled_back(self._history() if known else [], champion)
            history = [version for version in history if version in known]
            if not history:
                raise RegistryError(
                    f"the model {self.name!r} had no champion before this one; promote what `python -m ml models` lists"
                )
            self._record("rollback", history[-1], champion, note)
            self._remember(history)  # the other order than in `promote`, for the same reason
            self._client.set_registered_model_alias(self.name, self.alias, str(history[-1]))
            return history[-1]

    def challenge(self, version: int, note: Note = _NOBODY) -> None:
        """Put a version on trial, in place of the one before. Raises `RegistryError` for the champion itself."""
        with talking_to(self.uri):
            self._known(version)
            if version == self._version_of(self.alias):
                raise RegistryError(f"version {version} is the {self.alias}: only another version can be on trial")
            self._record("challenge", version, self._version_of(self._other("challenger")), note)
            self._client.set_registered_model_alias(self.name, self._other("challenger"), str(version))

    def withdraw(self, note: Note = _NOBODY) -> int:
        """End the trial; returns the version that was on trial. Raises `RegistryError` where there was none."""
        with talking_to(self.uri):
            version = self._version_of(self._other("challenger"))
            if version is None:
                raise RegistryError(
                    f"no version of the model {self.name!r} is on trial: `python -m ml challenge VERSION`"
                )
            self._record("withdraw", version, version, note)
            self._client.delete_registered_model_alias(self.name, self._other("challenger"))
            return version

    def events(self) -> list[Event]:
        """All changes of champion and challenger, oldest first. They are never changed, nor deleted."""
        with talking_to(self.uri):
            return promotion_history.decoded(self._tags(), self._event_prefix) if self._versions() else []

    def _other(self, name: str) -> str:
        """The alias of this name beside the champion's."""
        return name if self.alias == CHAMPION else f"{self.alias}-{name}"

    def _holder(self, alias: str) -> ModelVersion | None:
        with talking_to(self.uri):
            try:
                return self._client.get_model_version_by_alias(self.name, alias)
            except MlflowException as error:
                if is_missing(error) or f"alias {alias} not found" in str(error):
                    return None
                raise

    def _version_of(self, alias: str) -> int | None:
        found = self._holder(alias)
        return None if found is None else int(found.version)

    def _entry(self, version: ModelVersion) -> Entry:
        origin = Origin(self.address, version.run_id or "", int(version.creation_timestamp or 0))
        return Entry(int(version.version), origin)

    def _versions(self) -> dict[int, ModelVersion]:
        return versions(self._client, self.name)

    def _known(self, version: int) -> None:
        """Raise `RegistryError` where there is no such version."""
        known = self._versions()
        if version not in known:
            raise RegistryError(
                f"there is no version {version} of the model {self.name!r} in {self.address}; "
                + (f"there are {', '.join(map(str, sorted(known)))}" if known else TRAIN)
            )

    def _tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self._client.get_registered_model(self.name).tags
        return tags

    @property
    def _event_prefix(self) -> str:
        return f"scoreline.{self.alias}.event."

    def _record(self, action: Action, version: int, replaced: int | None, note: Note) -> None:
        """Append an event, under a name that no other has, so that none is ever written over."""
        params = self._run_params(version)
        trained_on = {name: str(params[name]) for name in DATA_PARAMS if name in params}
        event = Event.now(action, version, replaced, note, trained_on)
        keys = [key for key in self._tags() if key.startswith(self._event_prefix)]
        key = promotion_history.key_after(keys, self._event_prefix)
        self._client.set_registered_model_tag(self.name, key, promotion_history.encoded(event))

    def _run_params(self, version: int) -> Mapping[str, str]:
        run_id = self._client.get_model_version(self.name, str(version)).run_id
        if not run_id:  # registered by hand, from files
            return {}
        try:
            params: Mapping[str, str] = self._client.get_run(run_id).data.params
        except MlflowException as error:
            if is_missing(error):
                return {}
            raise
        return params

    @property
    def _history_tag(self) -> str:
        return f"scoreline.{self.alias}.history"

    def _history(self) -> list[int]:
        return [int(version) for version in self._tags().get(self._history_tag, "").split(",") if version]

    def _remember(self, history: list[int]) -> None:
        """The champions that a rollback goes back by; the one before the champion has the alias `previous`."""
        self._client.set_registered_model_tag(self.name, self._history_tag, ",".join(map(str, history)))
        if len(history) > 1:
            self._client.set_registered_model_alias(self.name, self._other("previous"), str(history[-2]))
        elif self._version_of(self._other("previous")) is not None:
            self._client.delete_registered_model_alias(self.name, self._other("previous"))
