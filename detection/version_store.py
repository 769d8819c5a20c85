"""What a ledger's versions stand for: the models and tables that are kept beside it."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from detection.decision import Decision, Trial, lookup
from detection.errors import VersionUnavailable
from detection.ledger import Challenger, Ledger, Versions
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.table_files import Name
from detection.threshold_store import ThresholdStore
from ml.features.profiles import Profiles
from ml.model import Model
from ml.registry.model_store import ModelRefused, RegistryError
from ml.thresholds.table import Lookup, Table

T = TypeVar("T")

_log = logging.getLogger(__name__)

_DELETED_AT_ONCE: Final = 200


class VersionStore:
    """The decisions of one ledger."""

    def __init__(self, models: ModelVersions, tables: ThresholdStore, profiles: ProfileStore) -> None:
        self.models = models
        self.tables = tables
        self.kept_profiles = profiles
        self._trials: dict[str, Model] = {}
        self._lost: set[str] = set()

    def decision(self, versions: Versions) -> Decision:
        """What the ledger names. Raises `VersionUnavailable` where a part of it is not available."""
        trial = self.trial(versions, self.model_on_trial)
        return Decision.from_table(
            versions,
            self.model(versions),
            self.table(versions),
            self.profiles(versions),
            None if trial is None or versions.challenger is None else Trial(versions.challenger, *trial),
        )

    def trial(self, versions: Versions, model: Callable[[Challenger], T]) -> tuple[T, Lookup] | None:
        """The model that the ledger names beside the champion, by whatever loads it, and its thresholds; None where there is
        none. Where it is not available the champion judges alone, and the log says so once.

        Raises `VersionUnavailable` where the ledger says that it judges customers: nothing else may judge these.
        """
        by = versions.challenger
        if by is None:
            return None
        try:
            table = self.tables.table(by.thresholds, by.table_digest) if by.thresholds else None
            return model(by), lookup(self.model_on_trial(by), table)
        except (RegistryError, LookupError) as error:
            if by.judges > 0:
                raise VersionUnavailable(str(error)) from error
            if by.model_digest not in self._lost:
                _log.error("version %d, which is on trial, is not available (%s): it says nothing", by.model, error)
                self._lost.add(by.model_digest)
            return None

    def model_on_trial(self, by: Challenger) -> Model:
        """A model that was on trial. Raises `RegistryError` where it is not available."""
        if by.model_digest not in self._trials:
            self._trials = {by.model_digest: self.models.named(by.model_digest, by.model)}
        return self._trials[by.model_digest]

    def model(self, versions: Versions) -> Model:
        """The model that the ledger names. Raises `VersionUnavailable`."""
        try:
            return self.models.bound(versions)
        except ModelRefused as error:
            raise VersionUnavailable(str(error)) from error

    def table(self, versions: Versions) -> Table | None:
        """The table of thresholds that the ledger names; None for the model's own. Raises `VersionUnavailable`."""
        try:
            return self.tables.table(versions.thresholds, versions.table_digest) if versions.thresholds else None
        except LookupError as error:
            raise VersionUnavailable(str(error)) from error

    def profiles(self, versions: Versions) -> Profiles | None:
        """The table of profiles that the ledger names; None for none. Raises `VersionUnavailable`."""
        name = self.profiles_name(versions)
        return None if name is None else self.kept_profiles.table(name)

    def profiles_name(self, versions: Versions) -> Name | None:
        """Which table of profiles the ledger names; None for none. Raises `VersionUnavailable` where it is not kept whole."""
        if not versions.profiles:
            return None
        name = Name(versions.profiles, versions.profiles_digest)
        try:
            self.kept_profiles.check(name)
        except LookupError as error:
            raise VersionUnavailable(str(error)) from error
        return name

    def purge(self, ledger: Ledger) -> None:
        """Delete what the ledger no longer names; of the models all but those that a restart may need and those used last.

        Called between two micro-batches, now and then, it deletes a few at a time.
        """
        self.models.purge(ledger.models_in_single_entries())
        if ledger.dropped:
            named = ledger.tables()
            of_thresholds = self.tables.purge(named.thresholds, _DELETED_AT_ONCE)
            of_profiles = self.kept_profiles.purge(named.profiles, _DELETED_AT_ONCE)
            ledger.dropped = of_thresholds or of_profiles
