"""The chapters of a run: which traffic each has, and how long it takes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

STANDARD: Final = "standard"


class Chapter(NamedTuple):
    """A part of a run.

    traffic: the generator's scenario. share: of the run's time, beyond least_seconds, below which nothing comes of it.
    """

    name: str
    title: str
    traffic: str
    share: float
    least_seconds: float


FOREST: Final = Chapter(
    "forest", "a forest judges that knows no label: what is unlike a customer is an alert", STANDARD, 0.15, 20.0
)
LABELS: Final = Chapter(
    "labels", "labels have come: a challenger learns from them, is checked, and takes over", STANDARD, 0.45, 120.0
)
ATTACK: Final = Chapter("attack", "a wave of fraud, fifty times as much as usual", "attack", 0.2, 40.0)
DRIFT: Final = Chapter("drift", "honest customers change their ways, and nobody says so", "drift", 0.2, 50.0)
CHAPTERS: Final = (FOREST, LABELS, ATTACK, DRIFT)
NAMES: Final = tuple(chapter.name for chapter in CHAPTERS)


class Planned(NamedTuple):
    """A chapter and its seconds; 0: until Ctrl-C."""

    chapter: Chapter
    seconds: float


def planned(seconds: float, names: Sequence[str] = ()) -> list[Planned]:
    """The chapters of a run of so many seconds, 0 for one until Ctrl-C: those named, else as many as there is time for.

    >>> [(part.chapter.name, part.seconds) for part in planned(60)]
    [('forest', 60.0)]
    >>> [(part.chapter.name, round(part.seconds)) for part in planned(300)]
    [('forest', 30), ('labels', 152), ('attack', 54), ('drift', 64)]
    >>> [(part.chapter.name, part.seconds) for part in planned(0)]
    [('forest', 20.0), ('labels', 0.0)]
    >>> planned(30, ["attack"]) == [Planned(ATTACK, 30)]
    True
    """
    if names:
        chosen = [chapter for chapter in CHAPTERS if chapter.name in names]
    elif seconds:
        chosen = [chapter for n, chapter in enumerate(CHAPTERS) if not n or _least(CHAPTERS[: n + 1]) <= seconds]
    else:
        chosen = [FOREST, LABELS]
    if not seconds:
        return [*(Planned(chapter, chapter.least_seconds) for chapter in chosen[:-1]), Planned(chosen[-1], 0.0)]
    least = _least(chosen)
    if least >= seconds:
        return [Planned(chapter, seconds * chapter.least_seconds / least) for chapter in chosen]
    shares = sum(chapter.share for chapter in chosen)
    return [Planned(c, c.least_seconds + (seconds - least) * c.share / shares) for c in chosen]


def _least(chapters: Sequence[Chapter]) -> float:
    return sum(chapter.least_seconds for chapter in chapters)
