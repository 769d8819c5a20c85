"""Public data sets, read as their publishers ship them: into Kafka, or into the Parquet folder that training reads."""
