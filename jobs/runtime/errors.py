"""Errors that end the application rather than a micro-batch."""


class Fatal(Exception):
    """No further attempt can fix this; the text says what is required and how to fix it."""


class Stopping(Exception):
    """The application has been asked to stop; what has not begun is left to the next start."""


class Unavailable(Exception):
    """Something outside is unavailable, and may come back: the query that needs it waits and is started again."""


class StartAgain(Exception):
    """Nothing has failed: the query is to be started again at once, with other options; the text says why."""
