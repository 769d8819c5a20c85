"""Sending one message by Apprise: whether it was taken, why not, and how long the receiver asks to wait."""

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import requests
from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

from notifications.errors import PolicyError
from notifications.masked import Masked

_SECONDS: Final = 60.0
"""So long one attempt may take as a whole, however slowly the receiver answers."""
_LONGEST_WAIT: Final = 3_600.0
_TYPES: Final = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}
_ASSET: Final = AppriseAsset(
    app_id="Scoreline",
    app_desc="Scoreline",
    app_url="",
    image_url_mask="",
    image_url_logo="",
    async_mode=False,
    secure_logging=True,
    http_redirects=False,  # else a secret might be sent on to another host
)

_answers: ContextVar[list[requests.Response]] = ContextVar("answers")


class Outcome(NamedTuple):
    """Of one attempt. retry_after: seconds that the receiver asks for; None where it does not. why: without secrets."""

    delivered: bool
    why: str = ""
    retry_after: float | None = None


class Receiver:
    """What is behind a channel's URL. Raises `PolicyError` where Apprise can't use the URL."""

    def __init__(self, url: Masked, form: str | None = None) -> None:
        self._url = url
        self._apprise = Apprise(asset=_ASSET)
        service = Apprise.instantiate(url.clear, asset=_ASSET)
        if service is None or not self._apprise.add(service):
            raise PolicyError(
                f"Apprise can't use its URL {url!r}: https://appriseit.com/services shows how each is written"
            )
        taken: Any = service.notify_format
        forms = [NotifyFormat(each).value for each in (taken if isinstance(taken, tuple) else (taken,))]
        self.form = form or forms[0]
        self.longest_body = int(service.body_maxlen or 0) or 32_768

    def send(self, title: str, body: str, severity: str) -> Outcome:
        """One attempt. Never raises."""
        found: list[requests.Response] = []
        token = _answers.set(found)
        try:
            result = self._apprise.notify(
                body=body,
                title=title,
                notify_type=_TYPES.get(severity, NotifyType.INFO),
                body_format=self.form,
                timeout=_SECONDS,
            )
            said = [" ".join(str(entry.message).split()) for entry in result.logs()]
            delivered = bool(result)
        except Exception as error:  # noqa: BLE001  # whatever a service of Apprise's raises is a message that did not leave
            delivered, said = False, [f"{type(error).__name__}: {error}"]
        finally:
            _answers.reset(token)
        if delivered:
            return Outcome(True)
        why = self._url.mask("; ".join(said))[:300] or "it was not taken"
        return Outcome(False, why, _retry_after(found[-1]) if found else None)


def _retry_after(answer: requests.Response) -> float | None:
    """What the header Retry-After of a refusal asks for, in seconds (RFC 9110, 10.2.3); half a minute where a 429 has none."""
    written = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", written):
        return min(float(written), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(written)
        return min(max((at.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError):
        return 30.0 if answer.status_code == 429 else None


def listen_to_answers() -> None:
    """Let what the receivers answer be seen: Apprise says only whether a message was taken, not how long to wait."""
    send = requests.Session.send
    if getattr(send, "listens", False):
        return

    def listening(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = send(self, request, **options)
        if (found := _answers.get(None)) is not None:
            found.append(answer)
        return answer

    listening.listens = True  # type: ignore[attr-defined]
    requests.Session.send = listening  # type: ignore[method-assign]


def quiet_apprise() -> None:
    """Keep Apprise's own lines out of the log and the terminal: what matters comes with each outcome, masked."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
