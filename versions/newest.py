"""What new records are judged by: the champion, what is on trial beside it, the newest tables of thresholds and profiles."""

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from detection.ledger import Versions
from detection.version_store import VersionStore
from messaging.config import KafkaConfig
from ml.features.available import needs_profiles
from ml.model import Model
from ml.registry.model_store import ModelStore
from settings import Settings
from versions.challenger import ChallengerPoller
from versions.champion import ChampionPoller
from versions.past_profiles import PastProfiles
from versions.profiles import From, ProfilePoller, ReadFile
from versions.reports import reports
from versions.thresholds import ThresholdPoller, newest_kept

_log = logging.getLogger(__name__)

_FIRST: Final = 1


class Newest:
    """Polls them in the background. Raises `versions.errors.NoModel` where there is no model at all.

    source: the part that reports a refused champion, or a registry that does not answer. past: the profiles of training's
    history, for the first table of a first start. read: the content of a file, given its folder and name, which is how
    announced tables are fetched.
    """

    def __init__(
        self,
        settings: Settings,
        source: str,
        registry: ModelStore,
        versions: VersionStore,
        past: Callable[[], PastProfiles | None],
        read: ReadFile,
    ) -> None:
        self._settings = settings
        self._versions = versions
        refusal = reports(settings, source, "model_refused", "critical", f"model {settings.model_name}")
        outage = reports(settings, source, "part_unavailable", "warning", "part mlflow")
        self._champion = ChampionPoller(registry, versions.models, refusal=refusal, outage=outage)
        self._challenger = ChallengerPoller(registry, versions.models)
        if self._champion.available:  # else a start would wait for the registry once more
            self._challenger.look_once()
        kafka = KafkaConfig.from_settings(settings)
        newest = newest_kept(versions.tables) if settings.adaptive_thresholds else None
        self._tables = ThresholdPoller(settings.thresholds_topic, kafka, newest, settings.model_name)
        needed = settings.profiles and needs_profiles(self.model.features)
        if needed and versions.kept_profiles.newest is None:
            self._begin_with(past())
        tables = From(settings.profiles_topic, kafka, settings.model_name, read)
        self._profiles = ProfilePoller(tables, versions.kept_profiles)
        self._wanted: Callable[[], bool] | None = None

    @property
    def model(self) -> Model:
        """The champion."""
        return self._champion.current()

    @property
    def refused(self) -> bool:
        """Whether the registry's champion is refused, so that an older model judges."""
        return self._champion.refused

    def poll(self, wanted: Callable[[], bool]) -> None:
        """Begin to poll, for as long as `wanted()`; tables of profiles from the first model on that needs them."""
        self._champion.poll(wanted)
        self._challenger.poll(wanted)
        if self._settings.adaptive_thresholds:
            self._tables.poll(wanted)
        if self._settings.profiles:
            self._wanted = wanted
            if needs_profiles(self.model.features):
                self._poll_profiles()

    def versions(self) -> Versions:
        """What a new micro-batch, or the next record, is judged by; from here on it is kept. Never waits."""
        model, trial = self._champion.current(), self._challenger.current()
        version, digest = self._table_of(model)
        judged_by = Versions(model.version, version, model.name, model.digest, digest)
        models = [model]
        if trial is not None and trial.model.digest != model.digest:
            version, digest = self._table_of(trial.model)
            by = msgspec.structs.replace(trial.by, thresholds=version, table_digest=digest)
            judged_by = msgspec.structs.replace(judged_by, challenger=by)
            models.append(trial.model)
        if not self._settings.profiles or not any(needs_profiles(each.features) for each in models):
            return judged_by
        self._poll_profiles()
        profiles = self._profiles.current()
        if profiles is None:
            return judged_by
        return msgspec.structs.replace(judged_by, profiles=profiles.version, profiles_digest=profiles.digest)

    def _table_of(self, model: Model) -> tuple[int, str]:
        """The newest table of a model, kept from here on: its version and digest; 0 for the model's own threshold."""
        table = self._tables.current(model.digest) if self._settings.adaptive_thresholds else None
        return (0, "") if table is None else (table.version, self._versions.tables.keep(table))

    def _poll_profiles(self) -> None:
        if self._wanted is not None:
            self._profiles.poll(self._wanted)
            self._wanted = None

    def _begin_with(self, past: PastProfiles | None) -> None:
        if past is not None:
            self._versions.kept_profiles.keep(past.name(_FIRST), past.content)
