"""Who uses the page, and what each role may do."""

from typing import Final, Literal, NamedTuple

Role = Literal["look", "decide", "administer"]
ROLES: Final[tuple[Role, ...]] = ("look", "decide", "administer")
"""Each may do what those before it may."""


class User(NamedTuple):
    """Who uses the page. signed_in: false where the page has no sign-in. session: of the page, which can be signed out of."""

    name: str
    role: Role
    signed_in: bool = True
    session: bool = False

    def may(self, role: Role) -> bool:
        """Whether this user may do what the role allows.

        >>> User("ana", "decide").may("look"), User("ana", "decide").may("administer")
        (True, False)
        """
        return ROLES.index(self.role) >= ROLES.index(role)


NOBODY_ELSE: Final = User("analyst", "administer", signed_in=False)
"""The user where there is no sign-in: whoever is on this machine."""


class SignInNeeded(Exception):
    """Nobody is signed in, or the session has ended."""
