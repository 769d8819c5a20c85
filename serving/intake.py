"""Transactions that come by HTTP, on their way into the log."""

import itertools
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from messaging.config import KafkaConfig
from messaging.headers import Headers, value_of
from serving.stamp import STAMP_HEADER, Stamp

_log = logging.getLogger(__name__)

REQUEST_HEADER: Final = "scoreline-request"
"""Names the service's process and request on a record, so that whoever reads it back finds who waits for it."""

TRACE_HEADER: Final = "traceparent"
TRACE: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""A W3C trace context."""

_REQUEST_BYTES: Final = 16
_REPORTS_SECONDS: Final = 0.05
"""Between two looks at what was delivered. Only failures matter there, and taking each report as it comes makes the requests
wait for the interpreter.
"""

Failed = Callable[[bytes, str], None]
"""(request, why): told in the producer's thread that a record did not reach the log, or that nobody knows whether it did."""


class Intake:
    """Writes transactions to their topic, each once (idempotent producer), and says which could not be written.

    timeout_seconds: so long it tries; who waits for an answer is answered by the fallback long before.
    """

    def __init__(self, kafka: KafkaConfig, topic: str, failed: Failed, *, timeout_seconds: float = 300.0) -> None:
        self._topic = topic
        self._failed = failed
        self._instance = uuid.uuid4().bytes[:8]
        self._numbers = itertools.count()
        self._producer = Producer(
            {
                **kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": round(1000 * timeout_seconds),
                "queue.buffering.max.messages": 100_000,
                "delivery.report.only.error": True,
                "reconnect.backoff.max.ms": 1_000,
                "topic.metadata.refresh.interval.ms": 10_000,
                "log_level": 2,
            }
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="intake", daemon=True)
        self._thread.start()

    @property
    def instance(self) -> bytes:
        """(8,) what begins the names of this process's requests."""
        return self._instance

    def send(self, value: bytes, customer_id: str, trace: str | None = None, stamp: Stamp | None = None) -> bytes:
        """Put a transaction on its way; returns the request's name (16 bytes). Raises BufferError where too many are on it.

        stamp: by what it is to be judged, here and by every other replica.
        """
        request = self._instance + next(self._numbers).to_bytes(8, "big")
        headers: list[tuple[str, Any]] = [(REQUEST_HEADER, request)]
        if stamp is not None:
            headers.append((STAMP_HEADER, stamp.header))
        if trace is not None:
            headers.append((TRACE_HEADER, trace))

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self._failed(request, error.str())

        try:
            self._producer.produce(self._topic, value, customer_id.encode(), headers=headers, on_delivery=delivered)
        except KafkaException as error:
            raise BufferError(error.args[0].str()) from error
        return request

    def close(self, seconds: float) -> int:
        """Wait at most so long for what is on its way; returns how many are left."""
        left: int = self._producer.flush(seconds)
        if left:
            _log.error("%d transactions did not reach the log; they were answered by the fallback", left)
        self._stopped.set()
        self._thread.join(1)
        return left

    def _serve(self) -> None:
        while not self._stopped.is_set():
            time.sleep(_REPORTS_SECONDS)
            self._producer.poll(0)


def request_of(headers: Headers) -> bytes | None:
    """The name of the request that a record came by; None where it came another way."""
    found = value_of(headers, REQUEST_HEADER)
    return found if found is not None and len(found) == _REQUEST_BYTES else None


def trace_of(headers: Headers) -> bytes | None:
    """The W3C trace context (`traceparent`) of a record, whoever sent it; None where there is none, or another text."""
    found = value_of(headers, TRACE_HEADER)
    return found if found is not None and TRACE.fullmatch(found) else None
