"""What a ledger's versions stand for: the models and tables that are kept beside its checkpoint."""

from pyspark import Broadcast
from pyspark.sql import SparkSession

from jobs.champion import KeptModels
from jobs.ledger import Versions
from jobs.scoring import Judge
from jobs.storage import DurableFolder
from jobs.tables import KeptTables
from ml.model import Model
from ml.registry import Registry


class Kept:
    """The judges of one checkpoint's ledger, each version of a model broadcast once."""

    def __init__(self, spark: SparkSession, checkpoint: str, registry: Registry) -> None:
        self._spark = spark
        self._models = KeptModels(registry, DurableFolder(spark, f"{checkpoint}/models"))
        self.tables = KeptTables(DurableFolder(spark, f"{checkpoint}/tables"))
        self._broadcast: dict[int, Broadcast[Model]] = {}

    def judge(self, versions: Versions) -> Judge:
        """Raises `ml.registry.ModelRefused` or LookupError where a version can't be had."""
        if versions.model not in self._broadcast:
            self._broadcast[versions.model] = self._spark.sparkContext.broadcast(self._models.version(versions.model))
        table = self.tables.version(versions.thresholds) if versions.thresholds else None
        return Judge.of(versions, self._broadcast[versions.model], table)
