"""What the service needs at its start may not be there yet: it waits, and says for what."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import KafkaException

from serving.errors import ServiceError, StateRefused
from versions.errors import NoModel

_PAUSE_SECONDS: Final = 2.0

T = TypeVar("T")


def until_available(step: Callable[[], T], wanted: Callable[[], bool], say: Callable[[str], None]) -> T:
    """Do a step again and again until what it needs is available; `say` gets the reason why it is not.

    When it is wanted no more, it raises what the step raised last. What no waiting changes it raises at once.
    """
    while True:
        try:
            return step()
        except StateRefused:
            raise
        except (ServiceError, NoModel, KafkaException) as error:
            if not wanted():
                raise
            say(error.args[0].str() if isinstance(error, KafkaException) else str(error))
            time.sleep(_PAUSE_SECONDS)
