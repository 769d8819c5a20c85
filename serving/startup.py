"""Before the first request: waiting for what is not there yet, and making the process ready to answer at once."""

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

import msgspec
from confluent_kafka import KafkaException

from detection.message_parsing import parse
from ml.schema import Transaction
from ml.scorers.warm_up import warm_up
from serving.answers import NotJudged
from serving.description import EXAMPLE
from serving.errors import ServiceError, StateRefused
from versions.errors import NoModel

_PAUSE_SECONDS: Final = 2.0
_COLLECTED: Final = (50_000, 20, 1_000)
"""Objects until the garbage collector looks at the newest, and how often at the older ones: a look at all of them holds up
every answer, and next to nothing here is a cycle.
"""

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


def warmed(peek: Callable[[bytes, Transaction], object]) -> None:
    """Judge one made-up transaction, so that no request waits for code to be loaded, and settle the garbage collector."""
    warm_up()
    value = msgspec.json.encode(EXAMPLE)
    with suppress(NotJudged):
        peek(value, parse(value))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED)
