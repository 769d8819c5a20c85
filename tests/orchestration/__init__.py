"""Tests of the orchestrators, each in an environment of its own."""
