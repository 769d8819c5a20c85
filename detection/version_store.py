"""What a ledger's versions stand for: the models and tables that are kept beside it."""

from typing import Final

from detection.decision import Decision
from detection.errors import VersionUnavailable
from detection.ledger import Ledger, Versions
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.table_files import Name
from detection.threshold_store import ThresholdStore
from ml.features.profiles import Profiles
from ml.model import Model
from ml.registry.model_store import ModelRefused
from ml.thresholds.table import Table

_DELETED_AT_ONCE: Final = 200


class VersionStore:
    """The decisions of one ledger."""

    def __init__(self, models: ModelVersions, tables: ThresholdStore, profiles: ProfileStore) -> None:
        self.models = models
        self.tables = tables
        self.kept_profiles = profiles

    def decision(self, versions: Versions) -> Decision:
        """What the ledger names. Raises `VersionUnavailable` where a part of it is not available."""
        return Decision.from_table(versions, self.model(versions), self.table(versions), self.profiles(versions))

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
