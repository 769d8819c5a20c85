"""From a history to a model."""
