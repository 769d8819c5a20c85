"""The servers of one torture: real ones, the broker and InfluxDB behind proxies for the job alone."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from messaging.config import KafkaConfig
from messaging.topics import create_topics
from settings import Settings
from stack.kafka import Kafka
from stack.local import Stack
from stack.server import HOST
from torture.proxy import Proxy

DATABASE = "torture"
MOST_IN_A_MICRO_BATCH = 20_000
"""So that a backlog from an outage is many micro-batches, and kills hit the job between and within them."""


class ProxiedKafka(Kafka):
    """A broker with one more listener, which sends clients that connect to it to the proxy."""

    ports_needed = 3

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.proxy = Proxy(lambda: self._ports()[2])

    def _prepare(self, ports: list[int]) -> list[str]:
        command = super()._prepare(ports)
        own = [f"{name}://{HOST}:{port}" for name, port in zip(("PLAINTEXT", "CONTROLLER", "JOB"), ports, strict=True)]
        advertised = [own[0], f"JOB://{HOST}:{self.proxy.port}"]
        more = {
            "listeners": ",".join(own),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,JOB:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        with (self.folder / "server.properties").open("a") as properties:  # of two lines with one name the last counts
            properties.writelines(f"{name}={value}\n" for name, value in more.items())
        return command


class Servers:
    """A context: inside, Kafka, InfluxDB and MLflow run, with empty topics of 4 partitions and an empty database."""

    def __init__(self, data: Path) -> None:
        self.stack = Stack(data, with_mlflow_server=True)
        self.kafka = self.stack.kafka = ProxiedKafka(data / "kafka")
        self.influxdb, self.mlflow = self.stack.influxdb, self.stack.mlflow
        self.influxdb_proxy = Proxy(lambda: self.influxdb.port)
        self.partitions = 4
        self._data = data
        self._open = ExitStack()

    @property
    def settings(self) -> Settings:
        """The job's, which reaches the broker and InfluxDB through the proxies."""
        return Settings(
            kafka_bootstrap_servers=f"{HOST}:{self.kafka.proxy.port}",
            influxdb_url=f"http://{HOST}:{self.influxdb_proxy.port}",
            influxdb_token="",
            influxdb_org="scoreline",
            influxdb_bucket=f"{DATABASE}/autogen",
            mlflow_tracking_uri=self.mlflow.url,
            checkpoint=str(self._data / "checkpoint"),
            log_dir=self._data / "logs",
            publish_points="all",
            publish_interval_seconds=2.0,
            max_offsets_per_trigger=MOST_IN_A_MICRO_BATCH,
        )

    @property
    def direct(self) -> Settings:
        """For clients that must not be disturbed: the same servers without the proxies."""
        own = {"kafka_bootstrap_servers": self.kafka.bootstrap_servers, "influxdb_url": self.influxdb.url}
        return self.settings.model_copy(update=own)

    def add_partition(self) -> bool:
        """One more partition for the transactions; False where Kafka does not answer or is just adding one."""
        topic = self.settings.transactions_topic
        try:
            options = KafkaConfig.from_settings(self.direct).for_kafka_python()
            with KafkaAdminClient(**options, request_timeout_ms=5_000, bootstrap_timeout_ms=5_000) as admin:
                [found] = admin.describe_topics([topic])
                there = len(found["partitions"])  # asked for: an answer may have been lost before
                if there == self.partitions:
                    admin.create_partitions({topic: there + 1})
        except KafkaError:
            return False
        self.partitions += 1
        return True

    def __enter__(self) -> Self:
        try:
            for proxy in (self.kafka.proxy, self.influxdb_proxy):
                self._open.enter_context(proxy)
            self._open.enter_context(self.stack)
            if self.stack.without_influxdb is not None:
                raise self.stack.without_influxdb
            self.influxdb.create_database(DATABASE)
            create_topics(self.direct)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
