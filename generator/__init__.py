"""Synthetic customers, merchants, traffic and named fraud campaigns, sent to Kafka or written to files."""
