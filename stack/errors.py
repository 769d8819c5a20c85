"""What the stack raises when it cannot do what it was asked."""


class StackError(Exception):
    """One line for a person: what was required, what came instead, how to fix it."""


class InfluxDBUnavailable(StackError):
    """No InfluxDB is available on this machine; all else works without it."""
