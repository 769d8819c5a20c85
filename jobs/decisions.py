"""The decisions of a checkpoint's ledger, on their way to the tasks: each model is broadcast once."""

from collections import OrderedDict
from typing import Final

from pyspark import Broadcast
from pyspark.sql import SparkSession

from detection.ledger import Versions
from detection.model_versions import ModelVersions
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from jobs.runtime.storage import DurableFolder
from jobs.scoring import SentDecision
from ml.model import Model
from ml.registry.model_store import ModelStore

_SENT: Final = 8


def version_store(spark: SparkSession, checkpoint: str, registry: ModelStore, *, others: bool = False) -> VersionStore:
    """What the ledger of a checkpoint names. others: the checkpoint is another job's, in which nothing is written."""
    models = DurableFolder(spark, f"{checkpoint}/models", create=not others)
    tables = DurableFolder(spark, f"{checkpoint}/tables", create=not others)
    return VersionStore(ModelVersions(registry, models, others), ThresholdStore(tables))


class Sender:
    """Sends decisions to the tasks."""

    def __init__(self, spark: SparkSession, versions: VersionStore) -> None:
        self._spark = spark
        self._versions = versions
        self._broadcast: OrderedDict[str, Broadcast[Model]] = OrderedDict()

    def sent(self, versions: Versions) -> SentDecision:
        """The decision by these versions. Raises `VersionUnavailable` where a part of it is not available."""
        table = self._versions.table(versions)
        return SentDecision.from_table(versions, self._model(versions), table)

    def _model(self, versions: Versions) -> "Broadcast[Model]":
        digest = versions.model_digest
        if digest not in self._broadcast:
            self._broadcast[digest] = self._spark.sparkContext.broadcast(self._versions.model(versions))
        self._broadcast.move_to_end(digest)
        if len(self._broadcast) > _SENT:
            _, oldest = self._broadcast.popitem(last=False)
            oldest.unpersist()  # a task that still needs it gets it from the driver
        return self._broadcast[digest]
