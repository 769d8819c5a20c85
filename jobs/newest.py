"""What new micro-batches are judged by, for a job on Spark."""

from pyspark.sql import SparkSession

from detection.version_store import VersionStore
from jobs.initial_state import past_profiles
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.registry.model_store import ModelStore
from settings import Settings
from versions.errors import NoModel
from versions.newest import Newest


def newest(spark: SparkSession, settings: Settings, registry: ModelStore, versions: VersionStore) -> Newest:
    """Looks beside the checkpoint, at the registry and at Kafka. Raises `Fatal` where there is nothing to judge by."""
    try:
        return Newest(
            settings,
            "detect",
            registry,
            versions,
            lambda: past_profiles(spark, settings),
            lambda folder, file: DurableFolder(spark, folder, create=False).read(file),
        )
    except NoModel as error:
        raise Fatal(str(error)) from error
