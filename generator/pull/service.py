"""Questions to a REST service: with a timeout, and asked again with growing waits where that may help."""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import LocationValueError

from generator.pull.errors import PullError, RequestForgotten

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
CONNECT_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 128 << 20
WHOLE_ANSWER_TIMEOUTS: Final = 10
"""A whole answer may take so many times as long as the service may stay silent."""
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""
_FORGOTTEN: Final = frozenset({400, 404, 410, 422})
_LONGEST_DIGITS: Final = 400
_CHUNK: Final = 1 << 16


class Answer(NamedTuple):
    """What the service said: its JSON, and the address that its Link header calls the next one."""

    content: Any
    link: str | None


class _Passing(Exception):
    """What may pass; `wait` is what the service asks for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Authorization(AuthBase):
    """The header as it is set, so that no file of the user's (~/.netrc) replaces it. Another host never gets it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = self._value
        return r


@dataclass
class Service:
    """Asks one service.

    timeout: seconds without a byte after which a request has failed; give_up: seconds after which a service that does not
    answer is given up, None for never; waiting: is called with a reason and the seconds until it is asked again.
    """

    url: str
    authorization: str = ""
    timeout: float = 30.0
    give_up: float | None = None
    waiting: Callable[[str, float], None] = lambda reason, seconds: None

    def __post_init__(self) -> None:
        parts = _parts(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PullError(f"URL has to be an address such as https://example.com/payments, but is {shown(self.url)}")
        self._origin = _origin(parts)
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        self._session.auth = _Authorization(self.authorization) if self.authorization else None

    def ask(self, url: str, stopped: threading.Event) -> Answer | None:
        """What it answers; None where it was stopped while it waited.

        Raises PullError where asking again is no use, or it was given up; RequestForgotten where the service refuses this
        address in particular.
        """
        if _origin(_parts(url)) != self._origin:
            raise PullError(
                f"{shown(self.url)} names {shown(url)} as its next page, which is on another host: not asked"
            )
        since, wait = time.monotonic(), FIRST_WAIT_SECONDS
        while True:
            try:
                return self._ask_once(url)
            except _Passing as error:
                pause = max(wait * random.uniform(0.75, 1.25), error.wait or 0.0)
                if self.give_up is not None and time.monotonic() + pause - since > self.give_up:
                    raise PullError(f"{error}; given up after {time.monotonic() - since:,.0f} s") from None
                self.waiting(str(error), pause)
                if stopped.wait(pause):
                    return None
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _ask_once(self, url: str) -> Answer:
        try:
            with self._session.get(url, timeout=(CONNECT_SECONDS, self.timeout), stream=True) as response:
                self._refuse(url, response)
                return Answer(_json(url, self._body(url, response)), _next_link(response))
        except requests.exceptions.SSLError as error:
            raise PullError(f"{shown(url)} can't be trusted: {_cause(error)}") from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.TooManyRedirects,
            LocationValueError,  # which requests lets through, as it does a host's name that is too long
            UnicodeError,
        ) as error:
            raise PullError(f"{shown(url)} can't be asked: {_cause(error)}") from None
        except requests.exceptions.Timeout:
            raise _Passing(f"{shown(url)} does not answer within {self.timeout:g} s") from None
        except requests.exceptions.RequestException as error:
            raise _Passing(f"{shown(url)} does not answer: {_cause(error)}") from None

    def _refuse(self, url: str, response: requests.Response) -> None:
        status = response.status_code
        if status < 300:
            return
        what = f"{shown(url)} answers {status} {response.reason}".rstrip()
        if status in PASSING:
            raise _Passing(what, _retry_after(response))
        if status in (401, 403):
            how = "is not what it accepts" if self.authorization else "is not set"
            raise PullError(f"{what}: SCORELINE_PULL_AUTHORIZATION, such as 'Bearer …', {how}")
        kind = RequestForgotten if status in _FORGOTTEN else PullError
        raise kind(f"{what}: {_begin(response)}")

    def _body(self, url: str, response: requests.Response) -> bytes:
        until = time.monotonic() + WHOLE_ANSWER_TIMEOUTS * self.timeout
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise PullError(
                    f"{shown(url)} answers more than {LARGEST_ANSWER >> 20} MiB at once: ask it for smaller pages"
                )
            if time.monotonic() > until:
                raise _Passing(
                    f"{shown(url)} does not end its answer within {WHOLE_ANSWER_TIMEOUTS * self.timeout:g} s"
                )
        return bytes(body)


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, and the parameters' values.

    >>> shown("https://me:secret@example.com/payments?key=abc&page=2")
    'https://example.com/payments'
    """
    parts = _parts(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise PullError(f"an address can't be read: {error}") from None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _json(url: str, body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < _LONGEST_DIGITS else digits)
    except (ValueError, RecursionError) as error:
        # Often the page of a proxy while the service behind it starts.
        raise _Passing(f"{shown(url)} answers no JSON ({str(error)[:100]}), but {body[:60]!r}") from None


def _next_link(response: requests.Response) -> str | None:
    link = response.links.get("next", {}).get("url")
    return None if link is None else str(link)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 3_600.0) if text.isdecimal() else None


def _begin(response: requests.Response) -> str:
    text = next(response.iter_content(200), b"")
    return " ".join(text.decode("utf-8", "replace").split())[:200] or "without a word"


def _cause(error: BaseException) -> str:
    """The innermost reason, which is the one that says something; without addresses, which may hold secrets."""
    inner: Any = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = str(inner) if not isinstance(inner, BaseException) else str(inner.args[-1] if inner.args else inner)
    return " ".join(text.rpartition(">: ")[2].split())[:200] or type(error).__name__
