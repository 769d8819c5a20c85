"""The Spark session that the jobs share, with the configuration that Scoreline was measured with."""

import os
import sys
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from jobs.runtime import file_systems, logs, shipped_code
from settings import Settings

_STATE: Final = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"

CONFIGURATION: Final = {
    "spark.sql.session.timeZone": "UTC",
    # A large micro-batch of publish must not hold up the next one of detect: at 10,000 txn/s, in the job's first minute, the
    # median latency is 1.8 s, in one queue 2.0 s. At 1,000 txn/s it makes no difference.
    "spark.scheduler.mode": "FAIR",
    # The only one that transformWithState works with; it keeps the state outside Java's heap.
    "spark.sql.streaming.stateStore.providerClass": _STATE,
    # A micro-batch writes what it changed and no more: 415 ms median latency at 1,000 txn/s, 495 without. In catch-up it
    # costs 4 %.
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    # Of messages of 60 kB, Arrow's 10,000 rows would be 600 MB in the JVM, and several times that in Python.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(16 << 20),
    # A query that is stopped by force is waited for so long, in ms; by default without end.
    "spark.sql.streaming.stopTimeout": "5000",
    "spark.ui.showConsoleProgress": "false",
    # Whoever can open the page could cancel the queries' jobs.
    "spark.ui.killEnabled": "false",
    "spark.python.daemon.module": "jobs.worker_daemon",
}

LOCAL: Final = {
    # Nothing outside this machine talks to the driver or the block manager. SPARK_LOCAL_IP says where the page listens.
    "spark.driver.bindAddress": shipped_code.LOOPBACK,
    "spark.driver.host": shipped_code.LOOPBACK,
    "spark.executorEnv.PYTHONPATH": str(shipped_code.ROOT),
    # Between the JVM and its Python workers: 333 ms median latency at 1,000 txn/s, 373 with TCP.
    "spark.python.unix.domain.socket.enabled": "true",
}
"""Where workers run on this machine, with this very code. For a cluster see `jobs.runtime.shipped_code`."""

DELTA: Final = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A table's log is read by so many tasks, at each commit; by default by 50.
    "spark.databricks.delta.snapshotPartitions": "2",
    # A version a minute: by default a month of them is kept, 43,000 files.
    "spark.databricks.delta.properties.defaults.logRetentionDuration": "interval 7 days",
}
"""What writes Delta tables, where there is a lake. Its classes are in the jars of `stack.jars.lake_jars`."""


def launch_java() -> tuple[Any, Any]:
    """(gateway, JVM), before any session: the JVM that spark-submit started, or a new one."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    return SparkContext._gateway, SparkContext._jvm


def build_session(settings: Settings, name: str, scratch: Path) -> SparkSession:
    """The session; what `spark-submit --conf` sets takes precedence over this.

    scratch: the folder of what Spark keeps on this machine's disk while it runs, where its workers run here too.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _, jvm = launch_java()
    given = _given()
    local = shipped_code.runs_here(given.get("spark.master", "local"))
    own = {file_systems.MANAGER: file_systems.manager(settings.checkpoint, file_systems.configuration(jvm))}
    if local and "SPARK_LOCAL_DIRS" not in os.environ and _ours(scratch):
        own["spark.local.dir"] = str(scratch)
    if local and _page_is_open():
        own["spark.ui.enabled"] = "false"
    builder = SparkSession.builder.appName(name).config("spark.sql.shuffle.partitions", settings.state_partitions)
    for key, value in (CONFIGURATION | own | (LOCAL if local else {}) | (DELTA if settings.lake else {})).items():
        if key not in given:
            builder = builder.config(key, value)
    for key, value in ({} if local else shipped_code.configuration(given)).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    _keep_console_quiet(session, settings.log_dir)
    return session


def _page_is_open() -> bool:
    """Whether Spark's page would listen on all addresses: it goes by this variable of Java's environment alone."""
    _, jvm = launch_java()
    return jvm.System.getenv("SPARK_LOCAL_IP") is None


def _ours(folder: Path) -> bool:
    """Whether the folder could be made, and no other user may write to it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder.parent.stat().st_uid == folder.stat().st_uid == os.getuid()
    except OSError:
        return False


def _keep_console_quiet(session: SparkSession, log_dir: Path) -> None:
    """What Spark's Python workers print on standard error, which is not all errors, goes to a file."""
    java: Any = session._jvm.java  # type: ignore[union-attr]
    file = java.io.FileOutputStream(str(log_dir / logs.WORKERS), True)  # appends, also after the file was cut
    java.lang.System.setErr(java.io.PrintStream(file))


def _given() -> dict[str, str]:
    from pyspark import SparkConf

    launch_java()
    return dict(SparkConf().getAll())
