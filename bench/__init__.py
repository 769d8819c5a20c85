"""The benchmark: how fast Scoreline is on this machine, part by part, and beside what one would write by hand."""
