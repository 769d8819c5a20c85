"""The notification policy: channels, routes and silences, as a YAML file that is checked whole."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from ml.schema import Severity
from ml.yaml_file import plain
from notifications import hours
from notifications.condition import Condition
from notifications.errors import PolicyError
from notifications.items import Item, Names
from notifications.masked import Masked
from notifications.wording import Wording

_T = TypeVar("_T")

Name = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
GROUPABLE: Final = Names.__struct_fields__


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many messages in any stretch of so long."""

    messages: Annotated[int, Meta(ge=1, le=1_000)]
    per: str


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a digest leaves that has something to say: so long after the first, or at times of the day."""

    every: str | None = None
    at: tuple[str | int, ...] = ()


class Templates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jinja2 templates in place of the built-in ones."""

    title: Annotated[str, Meta(max_length=4_000)] | None = None
    body: Annotated[str, Meta(max_length=20_000)] | None = None


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that messages go to. format: text, markdown or html; by default what the service behind it takes best."""

    url: Annotated[str, Meta(min_length=5, max_length=4_000)]
    format: Annotated[str, Meta(pattern="^(text|markdown|html)$")] | None = None
    rate: Rate = Rate(30, "1h")
    digest: Digest = Digest("15m")
    quiet_hours: tuple[hours.QuietHours, ...] = ()
    time_zone: str = "UTC"
    give_up_after: str = "15m"
    templates: Templates = Templates()


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"goes_on": "continue"}):
    """What goes to which channels, and how. The first route that matches takes a record, and the next ones too where it has
    `continue`. The times are Alertmanager's. digest: only in the channels' digests."""

    name: Name
    match: Annotated[str, Meta(max_length=4_000)]
    channels: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]
    group_by: tuple[str, ...] = ("customer_id", "subject", "event")
    group_wait: str = "30s"
    group_interval: str = "5m"
    repeat_interval: str = "4h"
    resolve_timeout: str = "1h"
    digest: bool = False
    severity: Severity | None = None
    through_quiet_hours: bool = False
    goes_on: bool = False


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What nobody is notified of until a time, and why."""

    match: Annotated[str, Meta(max_length=4_000)]
    until: datetime
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy as it is written."""

    channels: Annotated[dict[Name, Channel], Meta(min_length=1, max_length=100)]
    routes: Annotated[tuple[Route, ...], Meta(min_length=1, max_length=200)]
    silences: Annotated[tuple[Silence, ...], Meta(max_length=1_000)] = ()


class Policy:
    """A policy whose every part was checked: names, times, zones, conditions, secrets and templates. Raises `PolicyError`."""

    def __init__(self, file: PolicyFile) -> None:
        self.file = file
        self.channels = file.channels
        self.routes = {route.name: route for route in file.routes}
        if len(self.routes) < len(file.routes):
            raise PolicyError("two routes have the same name")
        self.urls = {name: _of(f"channel {name}", partial(Masked, c.url)) for name, c in file.channels.items()}
        self.wordings = {name: _wording(name, channel) for name, channel in file.channels.items()}
        for name, channel in file.channels.items():
            _of(f"channel {name}", partial(_check_channel, channel))
        self._routes = [(route, self._condition(route)) for route in file.routes]
        self._silences = [(each, Condition(each.match)) for each in file.silences]
        if any(each.until.tzinfo is None for each in file.silences):
            raise PolicyError("the until of a silence needs a time zone, as in 2026-01-31T18:00:00+01:00")

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """The policy in a YAML file. Raises `PolicyError`."""
        try:
            if not path.is_file():  # a pipe would be waited for
                raise PolicyError(f"the policy {path} is not there, or no file")
            return cls(msgspec.convert(plain(path.read_text()), PolicyFile))
        except (PolicyError, OSError, ValueError, RecursionError) as error:
            said = " ".join(str(error).split())
            raise PolicyError(said if str(path) in said else f"the policy {path} can't be used: {said}") from error

    def routes_of(self, item: Item) -> list[Route]:
        """The routes that a record takes, in their order."""
        taken = []
        for route, condition in self._routes:
            if condition.matches(item.facts):
                taken.append(route)
                if not route.goes_on:
                    break
        return taken

    def silence_of(self, item: Item, now: float) -> Silence | None:
        """The first silence that holds for a record."""
        for silence, condition in self._silences:
            if now < silence.until.timestamp() and condition.matches(item.facts):
                return silence
        return None

    def _condition(self, route: Route) -> Condition:
        def check() -> Condition:
            hours.checked(route.group_wait, route.group_interval, route.repeat_interval, route.resolve_timeout)
            if unknown := set(route.channels) - set(self.channels):
                raise PolicyError(f"it names the channel {min(unknown)}, which there is not")
            if wrong := set(route.group_by) - set(GROUPABLE):
                raise PolicyError(f"group_by has {min(wrong)}, but groups are by {', '.join(GROUPABLE)}")
            return Condition(route.match)

        return _of(f"route {route.name}", check)


def _check_channel(channel: Channel) -> None:
    hours.checked(channel.rate.per, channel.give_up_after, channel.digest.every or "1h")
    hours.zone(channel.time_zone)
    if (channel.digest.every is None) != bool(channel.digest.at):
        raise PolicyError("digest has either every or at")
    if hours.seconds(channel.rate.per) <= 0:
        raise PolicyError("the per of a rate has to be more than nothing")
    for written in [*channel.digest.at, *(each for q in channel.quiet_hours for each in (q.begin, q.end))]:
        hours.clock(written)


def _wording(name: str, channel: Channel) -> Wording:
    return _of(f"channel {name}", lambda: Wording(channel.templates.title, channel.templates.body))


def _of(what: str, check: Callable[[], _T]) -> _T:
    """What a check returns; what it raises names the part of the policy."""
    try:
        return check()
    except PolicyError as error:
        raise PolicyError(f"{what}: {error}") from error
