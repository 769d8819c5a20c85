"""The fast lane: a service that answers at once, by the same judgement as the Spark job, over the same log."""
