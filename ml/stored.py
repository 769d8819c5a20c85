"""The name by which models that earlier releases registered ask for their loader: `mlflow.pyfunc.load_model` imports it."""

from ml.registry.serialization import _load_pyfunc

__all__ = ["_load_pyfunc"]
