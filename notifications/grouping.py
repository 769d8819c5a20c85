"""When which message leaves: grouping, waits, repeats, rates, quiet hours and digests, as a pure function of items and times.

Nothing here reads a clock or sends anything. An item that a route takes for a channel is counted in exactly one message of that
channel: in one of its case, or in a digest.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from notifications.books import Book, Group, Message, State, Tally
from notifications.hours import is_quiet, next_clock, seconds, zone
from notifications.items import Item
from notifications.policy import Channel, Policy, Route

MOST_GROUPS: Final = 20_000
"""Cases that are open at once; with more, idle ones are closed, the oldest first; where none is idle, new ones are digested."""
MOST_FIRING: Final = 20


class Grouping:
    """The cases and digests of all channels. `state` is all that there is to keep over a restart."""

    def __init__(self, policy: Policy, state: State | None = None, most_groups: int = MOST_GROUPS) -> None:
        self.state = state or State()
        self._most_groups = most_groups
        self.use(policy)

    def use(self, policy: Policy) -> int:
        """Go by another policy. What waits of a route that is gone goes to its channel's digest; returns how many items waited
        for channels that are gone: they are not sent."""
        self._policy = policy
        self._zones = {name: zone(channel.time_zone) for name, channel in policy.channels.items()}
        self._scheduled = {name for name, group in self.state.groups.items() if group.next_at is not None}
        silences = {silence.match for silence in policy.file.silences}
        self.state.silenced = {match: count for match, count in self.state.silenced.items() if match in silences}
        lost = 0
        for name, group in list(self.state.groups.items()):
            route = policy.routes.get(group.route)
            if group.channel not in policy.channels:
                lost += group.pending.count
                self._close(name)
            elif route is None or group.channel not in route.channels:
                self._digest(group, group.opened)
                self._close(name)
        for channel in [name for name in self.state.books if name not in policy.channels]:
            lost += sum(each.tally.count for each in self.state.books.pop(channel).digest.values())
        return lost

    def take(self, item: Item, now: float) -> bool:
        """Take an item to the cases and digests that its routes name. Returns whether one did."""
        self._go_by(now)
        routes = self._policy.routes_of(item)
        if routes:
            silence = self._policy.silence_of(item, now)
            if silence is not None:
                self.state.silenced[silence.match] = self.state.silenced.get(silence.match, 0) + 1
                return False
        for route in routes:
            for channel in route.channels:
                self._take(item, route, channel, now)
        return bool(routes)

    def due(self, now: float, open_channels: Collection[str] | None = None) -> list[Message]:
        """The messages that leave now. open_channels: those that take messages; what is due of another goes to its digest."""
        self._go_by(now)
        messages: list[Message] = []
        blocked = set[str]()
        for name, channel in self._policy.channels.items():
            book = self.state.books.get(name)
            if book is None or not book.has_digest:
                continue
            if book.digest_at is None:
                book.digest_at = self._next_digest(name, channel, now)
            if now < book.digest_at or self._quiet(name, now):
                continue
            if self._may(name, now, open_channels):
                messages.append(self._send_digest(name, now))
            else:
                blocked.add(name)  # the next place is the digest's
        due = sorted((at, name) for name in self._scheduled if (at := self.state.groups[name].next_at or 0.0) <= now)
        for _, name in due:
            group = self.state.groups[name]
            if message := self._due(group, now, lambda c: c not in blocked and self._may(c, now, open_channels)):
                messages.append(message)
            if group.next_at is None:
                self._scheduled.discard(name)
        self._close_old(now)
        return messages

    def _go_by(self, now: float) -> None:
        if self.state.goes_by(now):
            for name, channel in self._policy.channels.items():
                if channel.digest.at and name in self.state.books:
                    self.state.books[name].digest_at = None  # a time of the day is one of the clock as it is now

    @property
    def channels(self) -> Collection[str]:
        """The names of the policy's channels."""
        return self._policy.channels.keys()

    def failed(self, message: Message) -> None:
        """A message could not be delivered: the next digest of its channel says so."""
        book = self._book(message.channel)
        book.undelivered += 1
        book.undelivered_items += message.count

    def _take(self, item: Item, route: Route, channel: str, now: float) -> None:
        if route.digest:
            self._into_digest(channel, route.name, "", Tally.of(item))
            return
        values = tuple(getattr(item.names, name) for name in route.group_by)
        name = "\0".join((channel, route.name, *values))
        group = self.state.groups.get(name)
        if group is None:
            if len(self.state.groups) >= self._most_groups and not self._make_room():
                self._into_digest(channel, route.name, "", Tally.of(item))
                return
            named = {key: value for key, value in zip(route.group_by, values, strict=True) if value}
            group = self.state.groups[name] = Group(channel, route.name, named, self.state.number(), now)
        group.newest = now
        group.pending.add(item)
        group.severity = route.severity or _worst(group.severity, item.severity)
        if item.record == "event":
            _fire(group, item)
        at = (
            now + seconds(route.group_wait)
            if not group.messages
            else max(now, group.sent_at + seconds(route.group_interval))
        )
        group.next_at = at if group.next_at is None or group.pending.count == 1 else min(group.next_at, at)
        self._scheduled.add(name)

    def _due(self, group: Group, now: float, may: Callable[[str], bool]) -> Message | None:
        """The message of a group that is due; None where it goes to the digest, or a repetition is not due any more."""
        route = self._policy.routes[group.route]
        if not group.pending.count and not self._fires(group, route, now):
            group.next_at = None
            return None
        quiet = self._quiet(group.channel, now) and not route.through_quiet_hours
        if quiet or not may(group.channel):
            self._digest(group, now)
            group.next_at = now + seconds(route.repeat_interval) if group.firing else None
            return None
        return self._send(group, route, now)

    def _send(self, group: Group, route: Route, now: float) -> Message:
        kind = ("update" if group.messages else "case") if group.pending.count else "repeat"
        resolved = bool(group.pending.count) and not group.firing and all(each.resolved for each in group.pending.shown)
        group.messages += 1
        group.sent_at = now
        group.total.merge(group.pending)
        message = Message(
            id=f"{group.case}-{group.messages}",
            channel=group.channel,
            route=group.route,
            kind="resolved" if resolved else kind,  # type: ignore[arg-type]
            at=now,
            severity="info" if resolved else group.severity,
            case=group.case,
            number=group.messages,
            group=dict(group.named),
            new=group.pending,
            total=group.total.copied(),
            firing=tuple(group.firing.values()),
        )
        group.pending = Tally()
        group.next_at = now + seconds(route.repeat_interval) if group.firing else None
        self._book(group.channel).sent.append(now)
        return message

    def _fires(self, group: Group, route: Route, now: float) -> bool:
        """Whether an event of the group is not resolved, and was reported within `resolve_timeout`."""
        if group.firing and now - group.newest >= max(
            seconds(route.resolve_timeout), seconds(route.repeat_interval) * 6
        ):
            group.firing.clear()
        return bool(group.firing)

    def _send_digest(self, name: str, now: float) -> Message:
        book = self.state.books[name]
        self.state.digests += 1
        total = Tally()
        for each in book.digest.values():
            total.merge(each.tally)
        message = Message(
            id=f"d{self.state.digests}-{int(now)}",
            channel=name,
            route="",
            kind="digest",
            at=now,
            severity="warning" if book.undelivered else "info",
            case=self.state.digests,
            number=1,
            group={},
            new=total,
            total=total.copied(),
            lines=tuple(sorted(book.digest.values(), key=lambda each: -each.tally.count)),
            undelivered=book.undelivered,
            undelivered_items=book.undelivered_items,
            silences=self._silences(now),
        )
        book.clear_digest()
        book.sent.append(now)
        return message

    def _silences(self, now: float) -> tuple[str, ...]:
        """Those that hold and took something, with how much since they were first seen."""
        return tuple(
            f"{self.state.silenced[each.match]:,} silenced until {each.until:%Y-%m-%d %H:%M %z}: {each.reason}"
            for each in self._policy.file.silences[:20]
            if now < each.until.timestamp() and each.match in self.state.silenced
        )

    def _digest(self, group: Group, now: float) -> None:
        if group.pending.count:
            self._into_digest(group.channel, group.route, ", ".join(group.named.values()), group.pending)
            group.total.merge(group.pending)
            group.pending = Tally()

    def _into_digest(self, channel: str, route: str, group: str, tally: Tally) -> None:
        self._book(channel).add(route, group, tally)

    def _next_digest(self, name: str, channel: Channel, now: float) -> float:
        if channel.digest.every is not None:
            return now + seconds(channel.digest.every)
        return next_clock(channel.digest.at, self._zones[name], now)

    def _may(self, name: str, now: float, open_channels: Collection[str] | None) -> bool:
        """Whether the channel takes one more message now, by its rate."""
        rate, book = self._policy.channels[name].rate, self._book(name)
        per = seconds(rate.per)
        book.sent = [at for at in book.sent if now - at < per]
        return len(book.sent) < rate.messages and (open_channels is None or name in open_channels)

    def _quiet(self, name: str, now: float) -> bool:
        return is_quiet(self._policy.channels[name].quiet_hours, self._zones[name], now)

    def _book(self, channel: str) -> Book:
        return self.state.books.setdefault(channel, Book())

    def _close_old(self, now: float) -> None:
        """Close the cases to which nothing came for so long that the next alert begins a new one."""
        if now - self.state.looked_at < 10:
            return
        self.state.looked_at = now
        for name, group in list(self.state.groups.items()):
            timeout = seconds(self._policy.routes[group.route].resolve_timeout)
            if group.next_at is None and not group.firing and now - group.newest >= timeout:
                self._close(name)

    def _make_room(self) -> bool:
        idle: Iterable[str] = (name for name, group in self.state.groups.items() if group.next_at is None)
        for name in sorted(idle, key=lambda name: self.state.groups[name].newest)[: max(1, self._most_groups // 10)]:
            self._close(name)
        return len(self.state.groups) < self._most_groups

    def _close(self, name: str) -> None:
        self.state.groups.pop(name, None)
        self._scheduled.discard(name)


def _fire(group: Group, item: Item) -> None:
    """Keep an event that asks for attention until it is resolved; what is only said, such as a promotion, is not repeated."""
    what = f"{item.names.event} {item.names.subject}"
    if item.resolved:
        group.firing.pop(what, None)
    elif item.severity != "info" and (what in group.firing or len(group.firing) < MOST_FIRING):
        group.firing[what] = item.kept()


def _worst(one: str, other: str) -> str:
    order = ("info", "warning", "critical")
    return max(one, other, key=order.index)
