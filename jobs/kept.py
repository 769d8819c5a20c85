"""What a ledger's versions stand for: the models and tables that are kept beside its checkpoint."""

from collections import OrderedDict
from typing import Final

from pyspark import Broadcast
from pyspark.sql import SparkSession

from detection.ledger import Ledger, Versions
from detection.model_versions import KeptModels
from jobs.runtime.storage import DurableFolder
from jobs.scoring import Judge
from jobs.tables import KeptTables
from ml.model import Model
from ml.registry.model_store import ModelStore

_SENT: Final = 8
_DELETED_AT_ONCE: Final = 200


class Kept:
    """The judges of one checkpoint's ledger, each model broadcast once."""

    def __init__(self, spark: SparkSession, checkpoint: str, registry: ModelStore, *, others: bool = False) -> None:
        """others: the checkpoint is another job's, in which nothing is written."""
        self._spark = spark
        self.models = KeptModels(registry, DurableFolder(spark, f"{checkpoint}/models", create=not others), others)
        self.tables = KeptTables(DurableFolder(spark, f"{checkpoint}/tables", create=not others))
        self._broadcast: OrderedDict[str, Broadcast[Model]] = OrderedDict()

    def judge(self, versions: Versions) -> Judge:
        """Raises `ml.registry.model_store.ModelRefused` or LookupError where a version can't be had."""
        table = self.tables.table(versions.thresholds, versions.table_digest) if versions.thresholds else None
        return Judge.of(versions, self._sent(versions), table)

    def purge(self, ledger: Ledger) -> None:
        """Delete what the ledger no longer names; of the models all but those that a restart may need and those used last.

        Called between two micro-batches, now and then, it deletes a few at a time.
        """
        self.models.purge(ledger.models_in_single_entries())
        if ledger.dropped:
            ledger.dropped = self.tables.purge(ledger.tables(), _DELETED_AT_ONCE)

    def _sent(self, versions: Versions) -> "Broadcast[Model]":
        digest = versions.model_digest
        if digest not in self._broadcast:
            self._broadcast[digest] = self._spark.sparkContext.broadcast(self.models.bound(versions))
        self._broadcast.move_to_end(digest)
        if len(self._broadcast) > _SENT:
            _, oldest = self._broadcast.popitem(last=False)
            oldest.unpersist()  # a task that still asks for it gets it from the driver
        return self._broadcast[digest]
