"""How Spark and the driver reach Kafka: the source of the streams, and the options for each, from the settings."""

from collections.abc import Mapping
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession

from settings import Settings

MOST_A_POLL: Final = 1_000


def stream(
    spark: SparkSession,
    settings: Settings,
    *topics: str,
    most: int,
    a_poll: int = MOST_A_POLL,
    accept_loss: bool,
    since: str = "earliest",
    headers: bool = False,
) -> DataFrame:
    """Topics as Spark's Kafka source gives them: at most so many records a micro-batch, on a first start since then.

    a_poll: records that a task asks Kafka for at a time, all of which it has in memory, unpacked.
    accept_loss: go on where Kafka no longer has records that were not read yet; else the query fails.
    """
    return (
        spark.readStream.format("kafka")
        .options(**spark_options(settings))
        .option("subscribe", ",".join(topics))
        .option("includeHeaders", headers)
        .option("startingOffsets", since)
        .option("maxOffsetsPerTrigger", most)
        # With Kafka's 500 records a poll and 1 MiB a partition detect alone works off 41,000 txn/s instead of 43,100.
        .option("kafka.max.poll.records", a_poll)
        .option("kafka.max.partition.fetch.bytes", 4 << 20)
        .option("failOnDataLoss", not accept_loss)
        .load()
    )


def spark_options(settings: Settings) -> dict[str, str]:
    """Options for Spark's Kafka source and sink."""
    options = {
        "kafka.bootstrap.servers": settings.kafka_bootstrap_servers,
        "kafka.security.protocol": settings.kafka_security_protocol,
        "kafka.isolation.level": settings.kafka_isolation_level,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        options["kafka.sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["kafka.sasl.jaas.config"] = _jaas(settings)
    if settings.kafka_ssl_ca is not None:
        options["kafka.ssl.truststore.type"] = "PEM"
        options["kafka.ssl.truststore.location"] = str(settings.kafka_ssl_ca)
    return options


def kafka_properties(settings: Settings) -> dict[str, str]:
    """Properties for Kafka's own Java clients."""
    return {name.removeprefix("kafka."): value for name, value in spark_options(settings).items()}


def _jaas(settings: Settings) -> str:
    module = "plain.PlainLoginModule" if settings.kafka_sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
    username, password = client_credentials(settings)
    escaped = [text.replace("\\", "\\\\").replace('"', '\\"') for text in (username, password)]
    return 'org.apache.kafka.common.security.{} required username="{}" password="{}";'.format(module, *escaped)


def client_credentials(settings: Settings) -> tuple[str, str]:
    """(user, password) for SASL; raises ValueError where one is missing."""
    if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
        raise ValueError(
            f"kafka_security_protocol={settings.kafka_security_protocol} needs a user and a password: "
            "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        )
    return settings.kafka_sasl_username, settings.kafka_sasl_password.get_secret_value()


def client_options(settings: Settings) -> dict[str, Any]:
    """Arguments for kafka-python's clients. A consumer also takes the settings' isolation_level."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        username, password = client_credentials(settings)
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    if settings.kafka_ssl_ca is not None:
        options["ssl_cafile"] = str(settings.kafka_ssl_ca)
    return options


def librdkafka_options(settings: Settings) -> dict[str, Any]:
    """Configuration of confluent_kafka's consumers."""
    return as_librdkafka(client_options(settings) | {"isolation_level": settings.kafka_isolation_level})


_LIBRDKAFKA: Final = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "isolation_level": "isolation.level",
}


def as_librdkafka(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for kafka-python's clients, as confluent_kafka calls them.

    >>> as_librdkafka({"bootstrap_servers": ["a:1", "b:2"], "isolation_level": "read_committed"})
    {'bootstrap.servers': 'a:1,b:2', 'isolation.level': 'read_committed'}
    """
    named = {_LIBRDKAFKA[name]: value for name, value in options.items() if name in _LIBRDKAFKA}
    return {"bootstrap.servers": ",".join(options["bootstrap_servers"])} | named
