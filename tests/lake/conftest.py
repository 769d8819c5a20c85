"""A registry, a small model and a database of the real InfluxDB, as the tests of those have them."""

from tests.ml.conftest import empty_database, features, model, registry, small_model  # noqa: F401
from tests.sinks.conftest import database  # noqa: F401
