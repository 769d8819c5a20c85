"""Drift: whether traffic is still what a model was trained on, by histograms that a stream can count and merge."""
