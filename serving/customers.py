"""What the state knows of a customer, for an analyst who may ask."""

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import msgspec

from ml.features.customers import Customers, identify
from ml.features.state_schema import LATITUDE_STEP, LONGITUDE_STEP, NO_PLACE
from serving.access import Access
from serving.answers import Refused
from serving.http import RequestRefused, Scope
from serving.share import Elsewhere, served_elsewhere

_log = logging.getLogger(__name__)


class Recent(msgspec.Struct):
    """Transactions of the last two days, close ones together: how many, what amount in all, when the newest of them was."""

    event_time: datetime
    transactions: int
    amount: float


class CustomerState(msgspec.Struct):
    """What the replica has learned of a customer; merchants, countries and devices are kept as hashes, and not said.

    transactions: how many were folded. mean_amount, standard_deviation: of their amounts, recent ones weighing more; with
    currency rates, in the base currency. latitude, longitude: the last known place of the settled past, null where there is
    none. partition: of the log, null before the first record. order_undefined: the records have come by two partitions.
    """

    customer_id: str
    transactions: int
    newest_event_time: datetime | None
    mean_amount: float
    standard_deviation: float
    latitude: float | None
    longitude: float | None
    partition: int | None
    order_undefined: bool
    recent: list[Recent]


class Lookup:
    """Answers who has a key.

    states: held while the table is looked at, which another thread writes to. elsewhere: where a customer is served, None
    for here.
    """

    def __init__(
        self,
        customers: Customers,
        states: AbstractContextManager[object],
        access: Access,
        elsewhere: Callable[[str], Elsewhere | None] = lambda customer_id: None,
    ) -> None:
        self._elsewhere = elsewhere
        self._customers = customers
        self._states = states
        self._access = access

    def answer(self, scope: Scope, customer_id: str) -> CustomerState:
        """What is known. Raises `RequestRefused`: 404 without keys or without the customer, 401 without the caller's
        key, 421 where another machine has the customer's partition."""
        if not self._access.needs_key:
            raise RequestRefused(
                Refused("off", 404, "customers are shown only by a service that asks for a key: see --serve-keys")
            )
        caller = self._access.caller(scope)
        self._access.spend(caller)
        _log.info("%s looked at the customer %r", caller, customer_id)
        other = self._elsewhere(customer_id)
        if other is not None:
            raise served_elsewhere(other)
        with self._states:
            (row,) = self._customers.find(identify([customer_id]))
            state = self._customers.states[row].copy() if row >= 0 else None
        if state is None:
            raise RequestRefused(
                Refused("not known", 404, "no transaction of this customer was folded here", "customer_id")
            )
        return _shown(customer_id, state)


def _shown(customer_id: str, state: Any) -> CustomerState:
    placed = state["latitude"] != NO_PLACE and state["place_time"] != 0
    open_entries = [(int(state["first_open"]) + n) % len(state["times"]) for n in range(int(state["open"]))]
    return CustomerState(
        customer_id=customer_id,
        transactions=int(state["count"]),
        newest_event_time=_time(state["newest"]) if state["count"] else None,
        mean_amount=float(state["mean_now"]),
        standard_deviation=math.sqrt(max(0.0, float(state["m2_now"]))),
        latitude=float(state["latitude"] * LATITUDE_STEP) if placed else None,
        longitude=float(state["longitude"] * LONGITUDE_STEP) if placed else None,
        partition=int(state["partition"]) - 1 if state["partition"] else None,
        order_undefined=bool(state["order_undefined"]),
        recent=[
            Recent(_time(state["times"][n]), int(state["payments"][n]), float(state["amounts"][n]))
            for n in open_entries
        ],
    )


def _time(ms: Any) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)
