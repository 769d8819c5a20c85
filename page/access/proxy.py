"""Sign-in by a reverse proxy: its headers say who asks, and count from the proxy's own addresses alone."""

import ipaddress
from typing import Final, NamedTuple

from fastapi import Request

from page.access.groups import Groups, role_of
from page.access.kept_file import KeptFile
from page.access.users import User
from page.errors import PageError, Refused

_LONGEST_NAME: Final = 128

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProxyHeaders(NamedTuple):
    """What the proxy sends. user, groups: names of headers; groups may be empty."""

    user: str
    groups: str
    trusted: tuple[Network, ...]
    mapping: KeptFile[Groups]

    def user_of(self, request: Request) -> User | None:
        """Who the proxy says that this is; None where the request is not the proxy's or names nobody. Raises `Refused`."""
        if not is_from(request, self.trusted):
            return None
        names = request.headers.getlist(self.user)
        if not names or not names[0].strip():
            return None
        if len(names) > 1 or len(names[0]) > _LONGEST_NAME or not names[0].strip().isprintable():
            raise Refused("the proxy's header has to name one user", 403)
        groups = [group.strip() for line in request.headers.getlist(self.groups) for group in line.split(",")]
        role = role_of(filter(None, groups), self.mapping.value)
        if role is None:
            raise Refused(f"{names[0].strip()} has no role on this page", 403)
        return User(names[0].strip(), role)


def is_from(request: Request, trusted: tuple[Network, ...]) -> bool:
    """Whether the connection comes from one of these networks."""
    peer = address_of(request)
    return peer is not None and any(peer in network for network in trusted)


def address_of(request: Request) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address at the other end of the connection, whatever a header says."""
    try:
        found = ipaddress.ip_address(request.client.host) if request.client else None
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, by commas. Raises `PageError`.

    >>> [str(one) for one in networks("127.0.0.1, 10.0.0.0/8,::1")]
    ['127.0.0.1/32', '10.0.0.0/8', '::1/128']
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise PageError(f"--page-proxy-from has to be addresses or networks by commas: {error}") from error
