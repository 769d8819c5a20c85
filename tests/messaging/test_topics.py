"""Topics are created over the connection that the settings describe."""

import pytest

from messaging.errors import KafkaConfigError
from messaging.topics import create_topics
from settings import Settings


def test_topics_are_not_created_over_a_connection_that_lacks_what_the_settings_require() -> None:
    with pytest.raises(KafkaConfigError, match="KAFKA_SASL_PASSWORD is not set"):
        create_topics(Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_username="ann"))
