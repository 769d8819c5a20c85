"""The Spark session that the jobs share, with the configuration that Scoreline was measured with."""

import os
import sys
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from settings import Settings

_ROOT: Final = Path(__file__).resolve().parent.parent
_STATE: Final = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
_CHECKPOINTS: Final = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"

CONFIGURATION: Final = {
    "spark.sql.session.timeZone": "UTC",
    # A large micro-batch of publish must not hold up the next one of detect: at 10,000 txn/s, in the job's first minute, the
    # median latency is 1.8 s, in one queue 2.0 s. At 1,000 txn/s it makes no difference.
    "spark.scheduler.mode": "FAIR",
    # The one that transformWithState works with; it keeps the state beside Java's heap.
    "spark.sql.streaming.stateStore.providerClass": _STATE,
    # A micro-batch writes what it changed and no more: 415 ms median latency at 1,000 txn/s, 495 without. In catch-up it
    # costs 4 %.
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    # The default manager starts two processes for each file that it writes to a local disk: 31 ms a file instead of 9.
    "spark.sql.streaming.checkpointFileManagerClass": _CHECKPOINTS,
    # Of messages of 60 kB, Arrow's 10,000 rows would be 600 MB in the JVM, and several times that in Python.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(16 << 20),
    "spark.ui.showConsoleProgress": "false",
}

LOCAL: Final = {
    "spark.executorEnv.PYTHONPATH": str(_ROOT),
    "spark.python.daemon.module": "jobs.worker_daemon",
    # Between the JVM and its Python workers: 333 ms median latency at 1,000 txn/s, 373 with TCP.
    "spark.python.unix.domain.socket.enabled": "true",
}
"""Where workers run on this machine. On a cluster --py-files reach a worker only after its daemon has started."""


def build_session(settings: Settings, name: str) -> SparkSession:
    """The session; what `spark-submit --conf` says goes before what stands here."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).config("spark.sql.shuffle.partitions", settings.state_partitions)
    given = _given()
    local = given.get("spark.master", "local").startswith("local")
    for key, value in (CONFIGURATION | (LOCAL if local else {})).items():
        if key not in given:
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    _keep_console_quiet(session, settings.log_dir)
    return session


def _keep_console_quiet(session: SparkSession, log_dir: Path) -> None:
    """What Spark's Python workers print on standard error, which is not all errors, goes to a file."""
    java: Any = session._jvm.java  # type: ignore[union-attr]
    java.lang.System.setErr(java.io.PrintStream(java.io.FileOutputStream(str(log_dir / "workers.log"), True)))


def _given() -> dict[str, str]:
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # type: ignore[attr-defined]
    return dict(SparkConf().getAll())
