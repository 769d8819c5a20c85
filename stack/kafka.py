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

from messaging.config import KafkaConfig
from stack.errors import StackError
from stack.jars import broker_jars
from stack.java import java
from stack.security import USER, Security
from stack.server import HOST, NotReady, Server, accepts, write_private

HEAP = "-Xmx512m"
# Topics are cut by size and not by age (4 GiB a partition), since replayed records are old already when they arrive.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners={protocol}://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners={protocol}://{host}:{port}
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
# The controller, which knows no passwords, takes nobody who has no certificate of the same authority.
SECURED = """\
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms={mechanism}
sasl.mechanism.inter.broker.protocol={mechanism}
listener.name.sasl_ssl.{mechanism_lower}.sasl.jaas.config={jaas}
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
"""
MECHANISM = "SCRAM-SHA-512"
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
    """A broker that is also its own controller. What it wrote survives stop, kill and start.

    security: talks TLS alone, and to that user alone; whether it does is settled at the first start.
    """

    name = "Kafka"
    ports_needed = 2

    def __init__(self, folder: Path, port: int | None = None, security: Security | None = None) -> None:
        super().__init__(folder, port)
        self._security = security

    @property
    def config(self) -> KafkaConfig:
        """How clients reach it."""
        if self._security is None:
            return KafkaConfig(self.bootstrap_servers)
        return KafkaConfig(
            self.bootstrap_servers, "SASL_SSL", MECHANISM, USER, self._security.password, self._security.authority
        )

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        config = self.config
        if self._security is None:
            return {"KAFKA_BOOTSTRAP_SERVERS": config.servers}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": config.servers,
            "KAFKA_SECURITY_PROTOCOL": config.security_protocol,
            "KAFKA_SASL_MECHANISM": config.sasl_mechanism,
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": self._security.password,
            "KAFKA_SSL_CA": str(self._security.authority),
        }

    def _prepare(self, ports: list[int]) -> list[str]:
        data, properties = self.folder / "data", self.folder / "server.properties"
        logging_file = self.folder / "log4j2.properties"
        protocol = "PLAINTEXT" if self._security is None else "SASL_SSL"
        said = PROPERTIES.format(host=HOST, port=ports[0], controller_port=ports[1], data=data, protocol=protocol)
        write_private(properties, said + self._secured(ports))
        logging_file.write_text(LOGGING.format(log=self.log))
        # Kafka's own start script would add Scala; PySpark's is the same one.
        scala = next((Path(pyspark.__file__).parent / "jars").glob("scala-library-2.13.*.jar"))
        class_path = ":".join(map(str, [*broker_jars(), scala]))
        given = shlex.split(os.environ.get("KAFKA_OPTS", ""))  # options of Java, as Kafka's own script takes them
        kafka = [java(), HEAP, *given, f"-Dlog4j2.configurationFile={logging_file}", "-cp", class_path]
        if not (data / "meta.properties").exists():
            self._format([*kafka, "kafka.tools.StorageTool"], properties)
        return [*kafka, "kafka.Kafka", str(properties)]

    def _secured(self, ports: list[int]) -> str:
        if self._security is None:
            return ""
        self._security.prepare()
        config = KafkaConfig(f"{HOST}:{ports[0]}", "SASL_SSL", MECHANISM, USER, self._security.password)
        return SECURED.format(
            mechanism=MECHANISM,
            mechanism_lower=MECHANISM.lower(),
            jaas=config.for_java()["sasl.jaas.config"],
            keystore=self._security.keystore,
            authority=self._security.authority,
        )

    def _users(self) -> list[str]:
        """Arguments that come from a file, since all users of this machine see those of a process."""
        if self._security is None:
            return []
        arguments = self.folder / "users"
        write_private(arguments, f"--add-scram\n{MECHANISM}=[name={USER},password={self._security.password}]\n")
        return [f"@{arguments}"]

    def _format(self, storage_tool: list[str], properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Joined by "=": an id that begins with a dash would be taken for another option.
        command = [*storage_tool, "format", "--standalone", f"--cluster-id={cluster_id}", "--config", str(properties)]
        command += self._users()
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
            with KafkaAdminClient(**self.config.for_kafka_python(), bootstrap_timeout_ms=5_000) as admin:
                cluster = admin.describe_cluster()
        except KafkaError as error:
            raise NotReady(str(error)) from error
        if cluster["cluster_id"] != self._cluster_id():
            raise StackError(
                f"Another Kafka cluster ({cluster['cluster_id']}) answers on port {self.port}: choose another port."
            )
        if not cluster["brokers"]:
            raise NotReady("the broker has not joined its cluster")
