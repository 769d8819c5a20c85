"""Kafka: its configuration, topics, reading and polling."""
