"""Small files beside the checkpoint, on whatever file system the checkpoint is on, each written whole or not at all."""

from typing import Any

from pyspark.sql import SparkSession


class DurableFolder:
    """A folder of small files: a path or any URI that Hadoop knows (hdfs, s3a, …), through Spark's own checkpoint writer."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        jvm: Any = spark._jvm
        session: Any = spark._jsparkSession
        self._path = jvm.org.apache.hadoop.fs.Path
        self._root = self._path(uri)
        configuration = session.sessionState().newHadoopConf()
        checkpointing = jvm.org.apache.spark.sql.execution.streaming.checkpointing
        self._files = checkpointing.CheckpointFileManager.create(self._root, configuration)
        self._files.mkdirs(self._root)

    def read(self, name: str) -> bytes | None:
        """The file's content, or None where there is no such file."""
        path = self._path(self._root, name)
        if not self._files.exists(path):
            return None
        stream = self._files.open(path)
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is not there yet; when this returns, a crash no longer loses it."""
        stream = self._files.createAtomic(self._path(self._root, name), False)
        try:
            stream.write(content)
        except BaseException:
            stream.cancel()
            raise
        stream.close()

    def read_newest(self, name: str) -> bytes | None:
        """What was last written by `write_newest`, or None."""
        numbers = self._numbers(name)
        return self.read(f"{name}.{numbers[-1]}") if numbers else None

    def write_newest(self, name: str, content: bytes) -> None:
        """Write a file under the next number, and delete those before it: not every file system replaces a file whole."""
        numbers = self._numbers(name)
        self.write(f"{name}.{numbers[-1] + 1 if numbers else 0}", content)
        for number in numbers:
            self.delete(f"{name}.{number}")

    def _numbers(self, name: str) -> list[int]:
        endings = [other.removeprefix(f"{name}.") for other in self.names() if other.startswith(f"{name}.")]
        return sorted(int(ending) for ending in endings if ending.isdigit())

    def names(self) -> list[str]:
        """The files' names, hidden ones left out."""
        listed = [status.getPath().getName() for status in self._files.list(self._root)]
        return [name for name in listed if not name.startswith(".")]

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""
        self._files.delete(self._path(self._root, name))
