"""The benchmark: how fast Scoreline is on this machine, part by part, and compared with programs that do the same."""
