"""Scoreline's scorecard: simulates runs of several seeds, has every detector judged on them, and reports it for people."""
