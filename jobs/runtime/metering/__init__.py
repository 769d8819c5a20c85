"""What Prometheus reads of a job: families of metrics, what the queries count, and what is asked when it looks."""
