"""What the lake's commands share: where the lake is, and errors in one line."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import duckdb
import psycopg
import typer
from deltalake.exceptions import DeltaError

from lake.maintenance import one_line
from lake.place import LakeUnusable, Place
from lake.refolding import StatesUnusable
from messaging.errors import KafkaConfigError, ReadError
from ml.drift.policy import DriftPolicyError
from ml.drift.reference import NoReference
from ml.features.currencies import RatesUnreadable
from ml.registry.model_store import ModelRefused, RegistryError
from settings import Settings
from sinks.sink import SinkRejected, SinkUnavailable

Where = Annotated[str | None, typer.Option("--lake", help="The lake's folder; by default the setting SCORELINE_LAKE.")]

_FOR_PEOPLE = (
    duckdb.Error,
    DeltaError,
    LakeUnusable,
    psycopg.Error,
    RatesUnreadable,
    StatesUnusable,
    OSError,
    DriftPolicyError,
    NoReference,
    ModelRefused,
    RegistryError,
    SinkRejected,
    SinkUnavailable,
    KafkaConfigError,
    ReadError,
)


def place_of(lake: str | None) -> Place:
    """The lake that an option or the setting names; without one, an error and exit status 2; 1 where it is no folder."""
    uri = lake or Settings.from_command_line([]).lake
    if uri is None:
        print("error: no lake is named: set SCORELINE_LAKE to its folder, or say --lake FOLDER", file=sys.stderr)
        raise typer.Exit(2)
    place = Place(uri)
    if place.local is not None and not place.local.is_dir():
        what = "is no folder" if os.path.lexists(place.local) else "does not exist (the archive makes it, by --lake)"
        print(f"error: the lake {place.local} {what}", file=sys.stderr)
        raise typer.Exit(1)
    return place


def maybe_utc(time: datetime | None) -> datetime | None:
    """A time of the command line as what it is, UTC; None stays None."""
    return None if time is None else time.replace(tzinfo=UTC)


@contextmanager
def errors() -> Iterator[None]:
    """What a person can fix is one line on standard error and exit status 1."""
    try:
        yield
    except _FOR_PEOPLE as error:
        print("error:", one_line(error), file=sys.stderr)
        raise typer.Exit(1) from None
