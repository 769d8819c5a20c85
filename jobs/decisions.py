"""The decisions of a checkpoint's ledger, on their way to the tasks: each model is broadcast once."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from pyspark import Broadcast
from pyspark.sql import SparkSession

from detection.errors import VersionUnavailable
from detection.ledger import Challenger, Versions
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from jobs.runtime.storage import DurableFolder
from jobs.scoring import SentDecision, SentTrial
from jobs.sent_profiles import SentProfiles
from ml.model import Model
from ml.registry.model_store import ModelStore

T = TypeVar("T")

_SENT: Final = 8


def version_store(spark: SparkSession, checkpoint: str, registry: ModelStore, *, others: bool = False) -> VersionStore:
    """What the ledger of a checkpoint names. others: the checkpoint is another job's, in which nothing is written."""
    models = DurableFolder(spark, f"{checkpoint}/models", create=not others)
    tables, profiles = (
        DurableFolder(spark, f"{checkpoint}/{name}", create=not others) for name in ("tables", "profile-tables")
    )
    return VersionStore(ModelVersions(registry, models, others), ThresholdStore(tables), ProfileStore(profiles))


class Sender:
    """Sends decisions to the tasks."""

    def __init__(self, spark: SparkSession, versions: VersionStore) -> None:
        self._spark = spark
        self._versions = versions
        self._models: OrderedDict[str, Broadcast[Model]] = OrderedDict()
        self._contents: OrderedDict[str, Broadcast[bytes]] = OrderedDict()

    def sent(self, versions: Versions) -> SentDecision:
        """The decision by these versions. Raises `VersionUnavailable` where a part of it is not available."""
        table = self._versions.table(versions)
        trial = self._versions.trial(versions, self._on_trial)
        sent = None if trial is None or versions.challenger is None else SentTrial(versions.challenger, *trial)
        return SentDecision.from_table(versions, self._model(versions), table, self._profiles(versions), sent)

    def _on_trial(self, by: Challenger) -> "Broadcast[Model]":
        return self._sent(self._models, by.model_digest, lambda: self._versions.model_on_trial(by))

    def _model(self, versions: Versions) -> "Broadcast[Model]":
        return self._sent(self._models, versions.model_digest, lambda: self._versions.model(versions))

    def _profiles(self, versions: Versions) -> SentProfiles | None:
        name = self._versions.profiles_name(versions)
        if name is None:
            return None
        kept = self._versions.kept_profiles
        try:
            path = kept.path(name)
            content = None if path else self._sent(self._contents, str(name), lambda: kept.content(name))
        except LookupError as error:
            raise VersionUnavailable(str(error)) from error
        return SentProfiles(str(name), None if path is None else str(path.absolute()), content)

    def _sent(self, known: "OrderedDict[str, Broadcast[T]]", digest: str, value: Callable[[], T]) -> "Broadcast[T]":
        if digest not in known:
            known[digest] = self._spark.sparkContext.broadcast(value())
        known.move_to_end(digest)
        if len(known) > _SENT:
            _, oldest = known.popitem(last=False)
            oldest.unpersist()  # a task that still needs it gets it from the driver
        return known[digest]
