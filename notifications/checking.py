"""Trying a policy: the routes that samples take, a test message, and a run that sends nothing."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from ml.schema import Event, Severity
from notifications import defaults
from notifications.channel import rendered
from notifications.condition import TYPES
from notifications.delivery import Receiver
from notifications.errors import NotificationError
from notifications.grouping import Grouping
from notifications.items import Item, Names, of_event
from notifications.policy import Policy
from notifications.policy_file import PolicyOnDisk, in_days
from notifications.records import KafkaProblem, Records
from notifications.wording import Wording

_KINDS: Final[tuple[tuple[str, Severity], ...]] = (
    ("promotion", "info"),
    ("rollback", "info"),
    ("challenge", "info"),
    ("drift", "warning"),
    ("no_progress", "critical"),
    ("model_refused", "critical"),
    ("part_unavailable", "warning"),
)


def samples() -> Iterator[tuple[str, Item]]:
    """Records to try a policy with, each with what it is."""
    for score, amount in ((0.65, 12.0), (0.65, 900.0), (0.9, 12.0), (0.9, 5_000.0)):
        yield f"alert of {amount:,.0f} EUR, score {score}", _alert(score, amount)
    for kind, severity in _KINDS:
        event = Event(at=datetime.now(UTC), kind=kind, severity=severity, subject="sample", words="A sample.")
        yield f"event {kind} ({severity})", of_event(event, "0/0")


def _alert(score: float, amount: float) -> Item:
    named = {"transaction_id": "t-1", "customer_id": "c-17", "merchant_id": "m-4", "country": "PT", "currency": "EUR"}
    facts = dict.fromkeys(TYPES) | named | {"anomaly_score": score, "amount": amount, "record": "alert"}
    facts |= {
        "severity": "warning",
        "event_time": datetime.now(UTC),
        "segment": "online × electronics",
        "channel": "online",
    }
    facts |= {
        "merchant_category": "electronics",
        "reasons": ("speed_kmh",),
        "lane": "spark",
        "late": False,
        "threshold": 0.6,
    }
    names = Names(**named, segment="online × electronics", channel="online", record="alert", severity="warning")
    words = ("2,000 km/h since the place before, usually at most 120 km/h",)
    return Item("alert/0/1", "alert", time.time(), "warning", names, words, score, amount, facts=facts)


def shown(policy: Policy) -> str:
    """What a policy holds, and where samples go, as lines for the terminal; secrets are masked."""
    now = time.time()
    lines = ["channels"]
    for name, channel in policy.channels.items():
        receiver = Receiver(policy.urls[name], channel.format)
        rate = f"at most {channel.rate.messages} messages in {channel.rate.per}"
        digest = (
            f"digest every {channel.digest.every}"
            if channel.digest.every
            else f"digest at {', '.join(map(str, channel.digest.at))}"
        )
        quiet = f", {len(channel.quiet_hours)} quiet hours ({channel.time_zone})" if channel.quiet_hours else ""
        lines.append(f"  {name}: {policy.urls[name]!r}, {receiver.form}, {rate}, {digest}{quiet}")
    lines.append("samples")
    for what, item in samples():
        routes = policy.routes_of(item)
        silence = policy.silence_of(item, now)
        places = "; ".join(
            f"{route.name} → {', '.join(route.channels)}{' (digest)' if route.digest else ''}" for route in routes
        )
        lines.append(f"  {what}: {places or 'nobody'}{f' (silenced: {silence.reason})' if silence and routes else ''}")
    if policy.file.silences:
        lines.append("silences")
        lines += [f"  {each.match}: {in_days(each.until, now)} ({each.reason})" for each in policy.file.silences]
    return "\n".join(lines)


def tested(policy: Policy, channel: str, page_url: str | None) -> str:
    """Send a test message to a channel, once; what came of it. Raises `NotificationError` where it was not taken."""
    if channel not in policy.channels:
        raise NotificationError(f"the policy has no channel {channel}: it has {', '.join(policy.channels)}")
    receiver = Receiver(policy.urls[channel], policy.channels[channel].format)
    message = next(defaults.samples(channel))
    title, body = rendered(policy.wordings[channel], message, receiver, page_url)
    outcome = receiver.send(f"Test: {title}", body, "info")
    if not outcome.delivered:
        raise NotificationError(f"the channel {channel} does not take messages: {outcome.why}")
    return f"The channel {channel} took the test message."


def dry_run(
    policy: PolicyOnDisk, records: Records, page_url: str | None, from_end: bool, wanted: Callable[[], bool]
) -> None:
    """Print what would be sent from now on; nothing is kept. Raises `NotificationError` where Kafka does not answer."""
    grouping = Grouping(policy.policy)
    offsets = grouping.state.offsets
    try:
        records.assign(offsets, from_end)
    except KafkaProblem as error:
        raise NotificationError(f"Kafka does not answer: {records.trouble(error)}") from None
    while wanted():
        if policy.look():
            grouping.use(policy.policy)
        for item in records.read(0.5, offsets)[0]:
            grouping.take(item, time.time())
        for message in grouping.due(time.time()):
            title, body = Wording(None, None).of(message, "text", page_url=page_url)
            print(f"→ {message.channel} ({message.kind}, delivery {message.id})\n{title}\n{body}\n", flush=True)
