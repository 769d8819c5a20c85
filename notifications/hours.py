"""Lengths of time, times of the day and quiet hours, as a policy writes them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from notifications.errors import PolicyError

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def seconds(text: str) -> float:
    """A length of time as Prometheus writes it. Raises `PolicyError`.

    >>> seconds("30s"), seconds("1h30m"), seconds("0s")
    (30.0, 5400.0, 0.0)
    """
    if re.fullmatch(r"(\d{1,6}[smhd])+", text) is None:
        raise PolicyError(f"a length of time has to be written as 30s, 5m, 1h30m or 2d, but it is {text!r}")
    return float(sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", text)))


def clock(written: str | int) -> time:
    """A time of the day. YAML reads 22:00 without quotes as a number of minutes. Raises `PolicyError`.

    >>> clock("07:30"), clock(1320)
    (datetime.time(7, 30), datetime.time(22, 0))
    """
    text = f"{written // 60:02}:{written % 60:02}" if isinstance(written, int) else written
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is None:
        raise PolicyError(f'a time of the day has to be written as "07:30", but it is {text!r}')
    return time.fromisoformat(text)


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises `PolicyError`."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise PolicyError(f"a time zone has to be a name such as Europe/Berlin, but it is {name!r}") from error


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    """Hours in which a channel is quiet; where they end before they begin, on the next day. days: on which they begin."""

    begin: str | int
    end: str | int
    days: tuple[Day, ...] = DAYS

    def at(self, moment: datetime) -> bool:
        """Whether a moment, by the clock of the channel's time zone, lies within."""
        begin, end, now = clock(self.begin), clock(self.end), moment.time()
        today, yesterday = DAYS[moment.weekday()], DAYS[moment.weekday() - 1]
        if begin < end:
            return today in self.days and begin <= now < end
        return (today in self.days and now >= begin) or (yesterday in self.days and now < end)


def is_quiet(hours: Sequence[QuietHours], zone: ZoneInfo, now: float) -> bool:
    """Whether it is quiet at a time, in seconds since 1970."""
    return bool(hours) and any(each.at(moment) for each in hours for moment in [local(zone, now)])


def next_clock(times: Sequence[str | int], zone: ZoneInfo, now: float) -> float:
    """The first of these times of the day after now, in seconds since 1970; a time that a day skips is taken an hour later."""
    moment = local(zone, now)
    days = (moment.date() + timedelta(days=ahead) for ahead in range(3))
    found = (datetime.combine(day, clock(each), zone).timestamp() for day in days for each in times)
    return min(at for at in found if at > now)


def local(zone: ZoneInfo, now: float) -> datetime:
    """A time, in seconds since 1970, by the clock of a zone."""
    return datetime.fromtimestamp(now, UTC).astimezone(zone)


def checked(*values: Any) -> None:
    """Raise `PolicyError` where some of these lengths of time can't be read."""
    for value in values:
        seconds(value)
