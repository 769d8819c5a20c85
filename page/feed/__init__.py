"""What the page reads from Kafka, and the verdicts that it sends there."""
