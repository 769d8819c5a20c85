"""The servers that a benchmark runs against, in a folder of its own, and topics and a database of its own for each run."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from bench.errors import BenchError
from bench.inputs import Input
from bench.programs import PYTHON, Running
from bench.sender import Sent
from messaging.config import KafkaConfig
from messaging.topics import create_topics
from settings import Settings
from stack.local import Stack

_TOPICS: Final = (
    *("transactions", "scores", "alerts", "early_alerts", "invalid", "thresholds", "profiles", "labels", "truth"),
)


class Environment:
    """Kafka and InfluxDB, in a temporary folder that is removed at the end with all that the runs wrote into it."""

    def __init__(self, parent: Path | None, partitions: int) -> None:
        """`parent`: where to make the folder; the system's temporary folder where it is None."""
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        self.folder: Final = Path(tempfile.mkdtemp(prefix="scoreline-bench-", dir=parent))
        self.partitions: Final = partitions
        self.stack: Final = Stack(self.folder / "stack")
        self._numbers = itertools.count(1)

    def settings(self, name: str, made: Input, more: Mapping[str, Any], partitions: int | None = None) -> Settings:
        """Settings of one run: empty topics, an empty database and checkpoint, the input's model and state; and `more`."""
        own = f"{name}{next(self._numbers)}"
        topics = {f"{topic}_topic": f"{own}.{topic}" for topic in _TOPICS}
        settings = Settings(
            **{
                "kafka_bootstrap_servers": self.stack.kafka.bootstrap_servers,
                "influxdb_url": self.stack.influxdb.url,
                "influxdb_token": "",
                "influxdb_org": "scoreline",
                "influxdb_bucket": self.stack.influxdb.create_database(own),
                "mlflow_tracking_uri": made.registry_uri,
                "initial_state": str(made.state),
                "checkpoint": str(self.folder / own / "checkpoint"),
                "log_dir": self.folder / own / "logs",
                **topics,
                **more,
            }
        )
        settings.log_dir.mkdir(parents=True)
        create_topics(settings, partitions or self.partitions)
        return settings

    def discard(self, settings: Settings, keep: str | None = None) -> None:
        """Deletes what a run wrote: its topics but for `keep`, its database, its checkpoint."""
        self.stack.influxdb.drop_database(settings.influxdb_bucket.split("/")[0])
        names = {getattr(settings, f"{topic}_topic") for topic in _TOPICS} - {keep}
        options = KafkaConfig.from_settings(settings).for_kafka_python()
        with suppress(KafkaError), KafkaAdminClient(**options) as admin:
            admin.delete_topics(sorted(names))
        shutil.rmtree(Path(settings.checkpoint).parent, ignore_errors=True)

    def sender(self, settings: Settings, made: Input, skip: int, count: int, rate: float = 0.0, *more: str) -> Running:
        """Begins to send rows of the input to the run's transactions topic. more: flags for `bench.sender`."""
        flags = {
            "servers": settings.kafka_bootstrap_servers,
            "topic": settings.transactions_topic,
            "skip": skip,
            "count": count,
            "rate": rate,
        }
        given = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        folder = Path(settings.log_dir) / f"sender{next(self._numbers)}"
        return Running("sender", folder, [*PYTHON, "bench.sender", str(made.transactions), *given, *more], {})

    def send(self, settings: Settings, made: Input, skip: int, count: int) -> Sent:
        """Sends rows of the input as fast as possible."""
        return sent_by(self.sender(settings, made, skip, count))

    def __enter__(self) -> Self:
        try:
            self.stack.start()
            if self.stack.without_influxdb is not None:
                raise BenchError(f"the benchmark writes to a real InfluxDB: {self.stack.without_influxdb}")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for server in reversed(self.stack.servers):
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def sent_by(sender: Running) -> Sent:
    """What a sender says at its end; it is ended where the wait is interrupted."""
    try:
        return Sent(**json.loads(sender.wait().strip().splitlines()[-1]))
    finally:
        sender.end(1.0)
