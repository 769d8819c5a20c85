"""Hostile messages by the million, through the whole way from bytes to a score."""
