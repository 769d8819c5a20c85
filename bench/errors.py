"""What the benchmark raises when it cannot measure."""


class BenchError(Exception):
    """One line for a person: what was required, what came instead, how to fix it."""
