"""Kafka, InfluxDB and MLflow as local processes, for the demo, the tests and the benchmarks, where there is no Docker."""
