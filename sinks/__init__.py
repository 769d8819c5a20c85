"""Where results go: line protocol into InfluxDB, records into Kafka."""
