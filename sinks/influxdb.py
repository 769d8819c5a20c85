"""Points → InfluxDB's /api/v2/write, which 1.8, 2 and 3 answer."""

import gzip
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3 import Retry
from urllib3.exceptions import HTTPError, SSLError

from sinks.sink import PointsRefused, SinkRejected, SinkUnavailable

_log = logging.getLogger(__name__)

_STORED: Final = 204
_COMPRESSION: Final = 1  # the client's own gzip is level 9: five times the time, for a seventh of the bytes
_TIMEOUT_MS: Final = (2_000, 10_000)  # connect, answer
_MAY_PASS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_RETRY: Final = Retry(
    total=2,
    status_forcelist=_MAY_PASS,
    allowed_methods={"POST"},
    backoff_factor=1,
    backoff_jitter=0.2,
    retry_after_max=3,
    redirect=False,
    raise_on_status=False,
)

_OTHERS_STORED: Final = (
    "points beyond retention policy dropped",
    "max-values-per-tag limit exceeded",
    "max-series-per-database limit exceeded",
)
_POINTS_AT_FAULT: Final = frozenset({400, 413, 422})

_MEND: Final = {
    400: "the points are at fault: see its message; the points before the bad one may be stored",
    401: "set INFLUXDB_TOKEN to a token that may write (InfluxDB 1.8: user:password)",
    403: "give INFLUXDB_TOKEN's owner the right to write to the bucket",
    404: "create the bucket (InfluxDB 1.8: the database), or set INFLUXDB_BUCKET and INFLUXDB_ORG to one that exists",
    413: "write fewer points at once, or raise the server's max-body-size",
}


@dataclass
class InfluxDBSink:
    """Writes synchronously, one request a call, compressed where the server is on another machine.

    A point is known by measurement, tags and time, so that writing it again changes nothing: a request without an
    answer, one that answers 429 or 5xx, and the whole micro-batch after a failure may all be sent once more. A request is
    tried three times within some three seconds (plus what the server takes to answer, and Retry-After up to three
    seconds). Then, `SinkUnavailable`; `SinkRejected` at once for any other answer, `PointsRefused` where the points are at
    fault. Points that are older than the bucket keeps, or whose tags pass the server's limits, are the one exception:
    InfluxDB stores the others, and says how many it did not take, which is logged.
    """

    url: str
    bucket: str
    org: str
    token: str = field(default="", repr=False)
    ca: Path | None = None
    _client: Any = field(default=None, init=False, repr=False)  # influxdb_client has few types
    _service: Any = field(default=None, init=False, repr=False)

    def setup(self) -> None:
        self._client = InfluxDBClient(
            self.url, self.token, org=self.org, timeout=_TIMEOUT_MS, ssl_ca_cert=str(self.ca) if self.ca else None
        )
        self._service = cast(Any, WriteService)(self._client.api_client)

    def check(self) -> None:
        if self._client is None:
            raise RuntimeError("InfluxDBSink: call setup() before check()")
        if not self._client.ping():
            raise SinkUnavailable(f"InfluxDB at {self.url} does not answer: start it, or set INFLUXDB_URL")

    def write(self, lines: bytes) -> None:
        if self._service is None:
            raise RuntimeError("InfluxDBSink: call setup() before write()")
        if not lines:
            return
        try:
            _, status, _ = self._service.post_write_with_http_info(
                self.org,
                self.bucket,
                lines if self._on_this_machine else gzip.compress(lines, _COMPRESSION),
                precision="ns",
                content_encoding="identity" if self._on_this_machine else "gzip",
                urlopen_kw={"retries": _RETRY},
            )
        except ApiException as error:
            if not any(known in _words(error) for known in _OTHERS_STORED):
                raise self._answered(error) from error
            _log.warning("InfluxDB at %s, bucket %r: %s", self.url, self.bucket, _words(error))
        except HTTPError as error:
            raise self._unanswered(error) from error
        else:
            if status != _STORED:
                raise SinkUnavailable(
                    f"{self.url} answers points with {status}, where InfluxDB answers {_STORED}: it is not InfluxDB "
                    "(perhaps a maintenance or login page); set INFLUXDB_URL"
                )

    @property
    def _on_this_machine(self) -> bool:
        # There compression costs client and server 2.5 µs a point together, of some 11, and saves nothing.
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = self._service = None

    def __enter__(self) -> Self:
        self.setup()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _unanswered(self, error: HTTPError) -> SinkUnavailable:
        reason = getattr(error, "reason", None) or error
        remedy = "start it, or set INFLUXDB_URL"
        if isinstance(reason, SSLError):
            remedy = _of_certificate(str(reason))
        return SinkUnavailable(f"InfluxDB at {self.url} does not answer ({reason}): {remedy}")

    def _answered(self, error: ApiException) -> Exception:
        status = error.status
        said = f"InfluxDB at {self.url} answered {status} for bucket {self.bucket!r}: {_words(error)}"
        if status in _MAY_PASS:
            return SinkUnavailable(f"{said}; the write is retried; look at the server's log if this goes on")
        kind = PointsRefused if status in _POINTS_AT_FAULT else SinkRejected
        return kind(f"{said}; {_MEND.get(status, 'see its message')}")


def _of_certificate(reason: str) -> str:
    if "expired" in reason:
        return "give the server a new certificate (INFLUXDB_CA is not at fault)"
    if "mismatch" in reason or "not valid for" in reason:
        return "name the server in INFLUXDB_URL as its certificate does"
    if "certificate" in reason.lower():
        return "set INFLUXDB_CA to the certificate of the authority that signed the server's"
    return "INFLUXDB_URL begins with https, but the server does not talk TLS; correct it"


def _words(error: ApiException) -> str:
    """InfluxDB's own message: the JSON of 2 and 3 says `message`, that of 1.8 says `error`."""
    text = str(error.body or error.reason).strip()
    try:
        said = json.loads(text)
        return str(said.get("message") or said["error"])
    except (ValueError, KeyError, AttributeError):
        return text
