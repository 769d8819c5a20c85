"""Why the page does not start, or does not do what was asked."""


class PageError(Exception):
    """The page can't start; the text says why and what to do."""


class Refused(Exception):
    """What an analyst asked for can't be done; the text says why. status: of the answer."""

    def __init__(self, text: str, status: int = 409) -> None:
        super().__init__(text)
        self.status = status


class TooSlow(Exception):
    """A search took longer than it may, and was stopped. seconds: how long it may take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it was stopped after {seconds:g} s")
        self.seconds = seconds
