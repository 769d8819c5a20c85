"""Why nothing can be judged."""


class NoModel(Exception):
    """There is no model to judge by; the text says why."""


class PastUnusable(Exception):
    """What a first start should go on from can't be used; the text says why."""
