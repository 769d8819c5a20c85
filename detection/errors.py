"""What stops the judgement as a whole, rather than one message."""


class CheckpointIncomplete(Exception):
    """A part of a checkpoint was deleted, damaged or put back, and the query cannot go on; the text says how to fix it."""


class VersionUnavailable(Exception):
    """A model or a table of thresholds that records must be judged by is not available; the text says which and why."""
