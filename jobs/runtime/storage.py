"""Small files beside the checkpoint, on whatever file system the checkpoint is on, each written whole or not at all."""

from typing import Any

from pyspark.sql import SparkSession

from detection import durable_folder
from detection.durable_folder import Files, LocalFiles
from jobs.runtime import file_systems
from jobs.runtime.file_systems import local_path


class DurableFolder(durable_folder.DurableFolder):
    """A folder of small files: a path or any URI that Hadoop knows (file, hdfs, s3a, …).

    On a local disk it is as `detection.durable_folder` says; elsewhere `write` promises what the file system's close()
    does: HDFS then has the file in the memory of its data nodes, an object store has it for good. For Spark's own files see
    `jobs.runtime.settling`.
    """

    def __init__(self, spark: SparkSession, uri: str, *, create: bool = True) -> None:
        super().__init__(_files(spark, uri, create=create))


def _files(spark: SparkSession, uri: str, *, create: bool) -> Files:
    jvm: Any = spark._jvm
    session: Any = spark._jsparkSession
    hadoop = session.sessionState().newHadoopConf()
    local = local_path(uri, hadoop)
    if local is not None:
        return LocalFiles(local, create=create)
    return _HadoopFiles(jvm, jvm.org.apache.hadoop.fs.Path(uri), hadoop, create=create)


class _HadoopFiles:
    """On any other file system, through Spark's own checkpoint writer."""

    def __init__(self, jvm: Any, root: Any, configuration: Any, *, create: bool) -> None:
        self._path = jvm.org.apache.hadoop.fs.Path
        self._root = root
        # The session's own checkpoint may be on a local disk, which is written in another way.
        configuration.set(file_systems.MANAGER, file_systems.ELSEWHERE)
        checkpointing = jvm.org.apache.spark.sql.execution.streaming.checkpointing
        self._files = checkpointing.CheckpointFileManager.create(root, configuration)
        if create:
            self._files.mkdirs(root)

    def read(self, name: str) -> bytes | None:
        """See `Files`."""
        path = self._path(self._root, name)
        if not self._files.exists(path):
            return None
        stream = self._files.open(path)
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def write(self, name: str, content: bytes) -> None:
        """See `Files`."""
        stream = self._files.createAtomic(self._path(self._root, name), False)
        try:
            stream.write(content)
        except BaseException:
            stream.cancel()
            raise
        stream.close()

    def names(self) -> list[str]:
        """See `Files`."""
        there = self._files.exists(self._root)
        return [status.getPath().getName() for status in self._files.list(self._root)] if there else []

    def delete(self, name: str) -> None:
        """See `Files`."""
        self._files.delete(self._path(self._root, name))
