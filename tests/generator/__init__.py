"""Tests of the simulated customers, their traffic and its frauds."""
