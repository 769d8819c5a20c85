"""Which version of a model is the champion, which was before it, and which is on trial; each change is recorded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from ml.registry import promotion_history
from ml.registry.promotion_history import Action, Event, Note, Terms
from ml.registry.registered_model import TRAIN, Entry, RegisteredModel
from ml.registry.tracking import RegistryError, talking_to

CHAMPION: Final = "champion"

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
_ALL: Final = Terms()


class NoChampion(RegistryError):
    """No version has the alias that judging follows."""


class OnTrial(NamedTuple):
    """A version that is on trial, and on what terms."""

    entry: Entry
    terms: Terms


@dataclass(frozen=True)
class Aliases(RegisteredModel):
    """The aliases of one model in one MLflow: the champion's, which judging follows, `previous` and `challenger`.

    Where the champion's alias has another name, such as `live`, the others are `live-previous` and `live-challenger`. Every
    method raises `RegistryUnavailable` where MLflow does not answer.
    """

    alias: str = CHAMPION

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

    def previous(self) -> int | None:
        """The version that judged before the champion; None where there is none."""
        return self._version_of(self._other("previous"))

    def on_trial(self) -> OnTrial | None:
        """The version that is on trial, and on what terms; None where there is none."""
        found = self._holder(self._other("challenger"))
        if found is None:
            return None
        text = (found.tags or {}).get(self._terms_tag)
        try:
            terms = Terms() if text is None else msgspec.json.decode(text, type=Terms)
        except promotion_history.NO_JSON:  # written by hand: nobody is judged by it
            terms = Terms()
        return OnTrial(self._entry(found), terms)

    def check(self) -> None:
        """Ask for anything at all. Raises `RegistryUnavailable` or `RegistryError` where the registry can't be used."""
        self._holder(self.alias)

    def promote(self, version: int, note: Note = _NOBODY) -> None:
        """Make a version the champion. What judges by the alias takes it up at once, or refuses it with a reason."""
        with talking_to(self.uri):
            known, champion = self._known(version), self._version_of(self.alias)
            history = promotion_history.promoted(self._history(), champion, version)
            # In this order: a promotion that was interrupted is rolled back to the right version, and its record is not lost.
            self._record("promote", version, champion, note)
            self._client.set_registered_model_alias(self.name, self.alias, str(version))
            self._remember(history, known)
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
            self._remember(history, known)  # the other order than in `promote`, for the same reason
            self._client.set_registered_model_alias(self.name, self.alias, str(history[-1]))
            return history[-1]

    def challenge(self, version: int, note: Note = _NOBODY, terms: Terms = _ALL) -> None:
        """Put a version on trial, in place of the one before, or change its terms. Raises `RegistryError` for the champion."""
        with talking_to(self.uri):
            self._known(version)
            if version == self._version_of(self.alias):
                raise RegistryError(f"version {version} is the {self.alias}: only another version can be on trial")
            self._record("challenge", version, self._version_of(self._other("challenger")), note, terms)
            text = msgspec.json.encode(terms).decode()
            self._client.set_model_version_tag(self.name, str(version), self._terms_tag, text)
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

    def keep_report(self, version: int, report: str) -> None:
        """Keep what the gate said of a version, beside it, in place of what it said before."""
        with talking_to(self.uri):
            self._client.set_model_version_tag(self.name, str(version), self._report_tag, report)

    def report(self, version: int) -> str | None:
        """What the gate said of a version last; None where it was not asked."""
        with talking_to(self.uri):
            tags: Mapping[str, str] = self._client.get_model_version(self.name, str(version)).tags
            return tags.get(self._report_tag)

    @property
    def _terms_tag(self) -> str:
        return f"scoreline.{self.alias}.trial"

    @property
    def _report_tag(self) -> str:
        return f"scoreline.{self.alias}.gate"

    def _other(self, name: str) -> str:
        """The alias of this name beside the champion's."""
        return name if self.alias == CHAMPION else f"{self.alias}-{name}"

    @property
    def _event_prefix(self) -> str:
        return f"scoreline.{self.alias}.event."

    def _record(self, action: Action, version: int, replaced: int | None, note: Note, terms: Terms = _ALL) -> None:
        """Append an event, under a name that no other has, so that none is ever written over."""
        run = self._run_of(self._client.get_model_version(self.name, str(version)))
        params: Mapping[str, str] = {} if run is None else run.params
        trained_on = {name: str(params[name]) for name in DATA_PARAMS if name in params}
        event = Event.now(action, version, replaced, note, trained_on, terms)
        keys = [key for key in self._tags() if key.startswith(self._event_prefix)]
        key = promotion_history.key_after(keys, self._event_prefix)
        self._client.set_registered_model_tag(self.name, key, promotion_history.encoded(event))

    @property
    def _history_tag(self) -> str:
        return f"scoreline.{self.alias}.history"

    def _history(self) -> list[int]:
        return promotion_history.remembered(self._tags().get(self._history_tag, ""))

    def _remember(self, history: list[int], known: Collection[int]) -> None:
        """The champions that a rollback goes back by; the one before the champion, of those still known, is `previous`."""
        self._client.set_registered_model_tag(self.name, self._history_tag, ",".join(map(str, history)))
        before = [version for version in history[:-1] if version in known]
        if before:
            self._client.set_registered_model_alias(self.name, self._other("previous"), str(before[-1]))
        elif self._version_of(self._other("previous")) is not None:
            self._client.delete_registered_model_alias(self.name, self._other("previous"))
