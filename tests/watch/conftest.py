"""An empty registry and a small model, as the tests of `ml` have them."""

from tests.ml.conftest import empty_database, features, model, registry, small_model  # noqa: F401
