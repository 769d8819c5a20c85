"""An empty registry for each test, and models to register."""

from tests.ml.conftest import empty_database, features, model, registry, small_model

__all__ = ["empty_database", "features", "model", "registry", "small_model"]
