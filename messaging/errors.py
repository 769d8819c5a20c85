"""What can go wrong with Kafka, each error as one line for a person."""


class MessagingError(Exception):
    """Kafka can't be used as required; the text says why."""


class KafkaConfigError(MessagingError, ValueError):
    """A Kafka setting is missing or wrong; the text says what was required, what came instead and how to fix it."""


class ReadError(MessagingError):
    """A topic's records can't be read."""


class Unreachable(MessagingError):
    """No broker answers; the text names the setting to look at."""
