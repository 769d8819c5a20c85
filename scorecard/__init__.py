"""Scoreline's scorecard: simulates runs of several seeds, judges every detector on them, and reports the result for people."""
