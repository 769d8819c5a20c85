"""What ends a pull, as a text for a person."""


class PullError(Exception):
    """The service can't be pulled from; the text says what was required, what came, how to fix it."""


class RequestForgotten(PullError):
    """The service refuses a request that it gave itself, such as a cursor that is too old."""
