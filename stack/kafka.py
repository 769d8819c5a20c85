"""One Kafka broker (KRaft, a single node) as a local process."""

import os
import shlex
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

import pyspark
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stack.errors import StackError
from stack.jars import broker_jars
from stack.java import java
from stack.server import HOST, NotReady, Server, accepts

HEAP = "-Xmx512m"
# Topics are cut by size and not by age (4 GiB a partition), since replayed records are old already when they arrive.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
log.retention.bytes=4294967296
log.retention.check.interval.ms=5000
"""
LOGGING = """\
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n
appender.file.policies.type = SizeBasedTriggeringPolicy
appender.file.policies.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 5
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


class Kafka(Server):
    """A broker that is also its own controller. What it wrote survives stop, kill and start."""

    name = "Kafka"
    ports_needed = 2

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}

    def _prepare(self, ports: list[int]) -> list[str]:
        data, properties = self.folder / "data", self.folder / "server.properties"
        logging_file = self.folder / "log4j2.properties"
        properties.write_text(PROPERTIES.format(host=HOST, port=ports[0], controller_port=ports[1], data=data))
        logging_file.write_text(LOGGING.format(log=self.log))
        # Kafka's own start script would add Scala; PySpark's is the same one.
        scala = next((Path(pyspark.__file__).parent / "jars").glob("scala-library-2.13.*.jar"))
        class_path = ":".join(map(str, [*broker_jars(), scala]))
        given = shlex.split(os.environ.get("KAFKA_OPTS", ""))  # options of Java, as Kafka's own script takes them
        kafka = [java(), HEAP, *given, f"-Dlog4j2.configurationFile={logging_file}", "-cp", class_path]
        if not (data / "meta.properties").exists():
            self._format([*kafka, "kafka.tools.StorageTool"], properties)
        return [*kafka, "kafka.Kafka", str(properties)]

    def _format(self, storage_tool: list[str], properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Joined by "=": an id that begins with a dash would be taken for another option.
        command = [*storage_tool, "format", "--standalone", f"--cluster-id={cluster_id}", "--config", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(
                f"Kafka's data folder could not be prepared: {' '.join((done.stderr or done.stdout).split())}"
            )

    def _cluster_id(self) -> str:
        lines = (self.folder / "data" / "meta.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]

    def _check_ready(self) -> None:
        if not accepts(self.port):
            raise NotReady(f"nothing listens on port {self.port}")
        try:
            with KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=5_000) as admin:
                cluster = admin.describe_cluster()
        except KafkaError as error:
            raise NotReady(str(error)) from error
        if cluster["cluster_id"] != self._cluster_id():
            raise StackError(
                f"Another Kafka cluster ({cluster['cluster_id']}) answers on port {self.port}: choose another port."
            )
        if not cluster["brokers"]:
            raise NotReady("the broker has not joined its cluster")
