"""How records come from Kafka: which, how many, in what order and by whose limits."""
