"""How often somebody may try to sign in: failures are counted by user and by address, in bounded memory."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST_FAILURES: Final = {"user": 10, "address": 30}
WINDOW_SECONDS: Final = 900.0
MOST_KEPT: Final = 10_000
"""Users, and as many addresses, that are counted; of more the ones that were longest quiet are forgotten."""

_IPV6_NETWORK: Final = 64


class Throttle:
    """Counts tries as failures until `worked` says otherwise, so that many at once are not let through either.

    A count goes down evenly: `most` failures are forgotten in `WINDOW_SECONDS`. Safe to use by several threads.
    """

    def __init__(self, clock: Callable[[], float], most_kept: int = MOST_KEPT) -> None:
        self._clock, self._most_kept = clock, most_kept
        self._lock = threading.Lock()
        self._counts: dict[str, OrderedDict[str, tuple[float, float]]] = {kind: OrderedDict() for kind in MOST_FAILURES}

    def begin(self, user: str, address: str) -> float:
        """Count a try, or count nothing and return for how many seconds there may be none."""
        keys = {"user": user, "address": network_of(address)}
        with self._lock:
            waits = [self._wait(kind, key) for kind, key in keys.items()]
            if max(waits) <= 0:
                for kind, key in keys.items():
                    self._add(kind, key, 1.0)
        return max(waits)

    def worked(self, user: str, address: str) -> None:
        """The try was no failure: it no longer counts, nor does any other of this user."""
        with self._lock:
            self._counts["user"].pop(user, None)
            self._add("address", network_of(address), -1.0)

    @property
    def kept(self) -> int:
        """How many users and addresses are counted."""
        return sum(map(len, self._counts.values()))

    def _now(self, kind: str, key: str) -> float:
        count, at = self._counts[kind].get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - at) * MOST_FAILURES[kind] / WINDOW_SECONDS)

    def _wait(self, kind: str, key: str) -> float:
        over = self._now(kind, key) + 1 - MOST_FAILURES[kind]
        return over * WINDOW_SECONDS / MOST_FAILURES[kind]

    def _add(self, kind: str, key: str, number: float) -> None:
        counts = self._counts[kind]
        counts[key] = (max(0.0, self._now(kind, key) + number), self._clock())
        counts.move_to_end(key)
        if len(counts) > self._most_kept:
            counts.popitem(last=False)


def network_of(address: str) -> str:
    """What one who tries can change at will counts as one: of an IPv6 address its /64.

    >>> network_of("10.0.0.1"), network_of("2001:db8::1:2"), network_of("::ffff:10.0.0.1"), network_of("unix")
    ('10.0.0.1', '2001:db8::/64', '10.0.0.1', 'unix')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
