"""From a message to a judged score, without Spark."""
