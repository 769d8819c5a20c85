"""Histories, labels and truth, and how they are split in time."""
