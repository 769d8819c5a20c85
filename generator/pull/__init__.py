"""Transactions from somebody's REST service into Kafka, by a mapping file, with a position that outlives a kill."""
