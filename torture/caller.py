"""A payment switch beside the feed: it posts payments to the service, asks some again, and keeps what it was answered."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import urllib3

from torture.hostile import kinds
from torture.traffic import Payments, message

A_SECOND: Final = 25.0
AGAIN: Final = 0.05
BAD: Final = 0.05
_TIMEOUT_MS: Final = 2_000
_KEPT: Final = 200


class Called(msgspec.Struct):
    """What came of the requests. judged: with a judgement; fallbacks: without one in time; refused: 4xx.

    unanswered: a closed connection or 503, as while the service is down. failed: answers that must never be (a 500).
    contradicted: payments that were asked about again, and got another judgement than at first.
    """

    sent: int = 0
    judged: int = 0
    fallbacks: int = 0
    refused: int = 0
    unanswered: int = 0
    repeated: int = 0
    contradicted: int = 0
    failed: int = 0


class Caller(threading.Thread):
    """Posts to `url` until `ended`; each judgement is a line of JSON in `file`."""

    def __init__(self, url: str, file: Path, seed: int) -> None:
        super().__init__(daemon=True, name="caller")
        self._url = f"{url}/transactions?timeout_ms={_TIMEOUT_MS}"
        self._file = file
        self._payments = Payments(seed + 1_000)
        self._rng = np.random.default_rng(seed)
        self._hostile = kinds(Path("none"))
        self._http = urllib3.PoolManager(retries=False, timeout=10)
        self._first: list[tuple[bytes, dict[str, Any]]] = []
        self.called = Called()
        self.examples: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        with self._file.open("wb") as out:
            while not self.ended.wait(1 / A_SECOND):
                minute = (time.monotonic() - began) / 60
                if self._first and self._rng.random() < AGAIN:
                    self._again()
                    continue
                payment = self._payments.next(int(time.time() * 1000), minute)
                own = msgspec.structs.replace(payment, transaction_id=f"H{payment.transaction_id}")
                if self._rng.random() < BAD:
                    self._bad(list(self._hostile)[int(self._rng.integers(len(self._hostile)))], own)
                    continue
                body = message(own)[1] or b""
                answer = self._post(body)
                if answer is not None:
                    out.write(msgspec.json.encode(answer) + b"\n")
                    self._first = [*self._first[-_KEPT:], (body, answer)]

    def _bad(self, name: str, good: Any) -> None:
        """What is hostile in the log is hostile by HTTP too; whatever it is, the answer is a judgement or a refusal."""
        for _, value in self._hostile[name](good, self._rng)[:1]:
            self._post(value or b"")

    def _again(self) -> None:
        body, first = self._first[int(self._rng.integers(len(self._first)))]
        again = self._post(body)
        if again is None:
            return
        self.called.repeated += 1
        if any(again[name] != first[name] for name in COMPARED):
            self.called.contradicted += 1
            self._example(f"{first} and then {again}")

    def _post(self, body: bytes) -> dict[str, Any] | None:
        """The judgement; None where there is none, for whatever reason, which is counted."""
        called = self.called
        called.sent += 1
        try:
            found = self._http.request("POST", self._url, body=body)
            status, content = found.status, found.data
        except urllib3.exceptions.HTTPError:
            called.unanswered += 1
            return None
        if status == 503:
            called.unanswered += 1
        elif 400 <= status < 500:
            called.refused += 1
        elif status != 200:
            called.failed += 1
            self._example(f"{status}: {content[:200]!r}")
        else:
            answer = msgspec.json.decode(content)
            if not isinstance(answer, dict):  # a hostile body that is an array is a batch
                return None
            if "degraded" not in answer:
                called.judged += 1
                return answer
            called.fallbacks += 1
        return None

    def _example(self, text: str) -> None:
        if len(self.examples) < 10:
            self.examples.append(text[:600])


COMPARED: Final[Sequence[str]] = (
    *("partition", "offset", "anomaly_score", "threshold", "is_anomaly", "decision"),
    *("model_version", "threshold_version"),
)
"""What an answer and its repetition have to agree in."""
