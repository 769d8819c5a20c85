"""Kafka's own Java clients, in the driver's JVM, with the connection that the settings describe."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from messaging.config import KafkaConfig
from settings import Settings


def java_consumer(spark: SparkSession, settings: Settings, options: Mapping[str, str]) -> Any:
    """A KafkaConsumer with these options beside those of the connection. Raises Py4JJavaError."""
    return _clients(spark).consumer.KafkaConsumer(_properties(spark, settings, options))


def java_producer(spark: SparkSession, settings: Settings, options: Mapping[str, str]) -> Any:
    """A KafkaProducer with these options beside those of the connection. Raises Py4JJavaError."""
    return _clients(spark).producer.KafkaProducer(_properties(spark, settings, options))


def _clients(spark: SparkSession) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.kafka.clients


def _properties(spark: SparkSession, settings: Settings, options: Mapping[str, str]) -> Any:
    jvm: Any = spark._jvm
    properties = jvm.java.util.HashMap()
    for name, value in (KafkaConfig.from_settings(settings).for_java() | dict(options)).items():
        properties.put(name, value)
    return properties
