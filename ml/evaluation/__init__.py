"""Judges detectors on a history: the split in time, the figures with their intervals, and the result for each scenario."""
