import uuid
from collections.abc import Iterator

import pytest

from stack.local import Stack
from tests.sinks.database import Database


@pytest.fixture
def database(stack: Stack) -> Iterator[Database]:
    """An empty database of the real server, for one test alone."""
    name = f"test_{uuid.uuid4().hex}"
    stack.influxdb.create_database(name)
    yield Database(stack.influxdb, name)
    stack.influxdb.drop_database(name)
