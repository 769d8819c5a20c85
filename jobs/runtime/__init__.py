"""What runs the queries: session, supervision, storage, logs and health."""
