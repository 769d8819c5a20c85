"""What stops a replay or a conversion, as a text for a person."""


class ReplayError(Exception):
    """A data set can't be read, mapped, converted or replayed; the text says what was required, what came, how to fix it."""
