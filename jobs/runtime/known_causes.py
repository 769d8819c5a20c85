"""What a failure means here, and how to fix it, where its cause is known."""

from typing import Final, NamedTuple

from jobs.runtime.cause_texts import KNOWN, Known
from jobs.runtime.causes import Link, carries, cause, first_sentence, links


class Explanation(NamedTuple):
    """Why something failed. said: the error's name and message; known: what that means, where it is known."""

    said: str
    known: Known | None

    def __str__(self) -> str:
        if self.known is None:
            return self.said
        return f"{self.said.rstrip('.')} ({self.known.means}). {self.known.fix}"


def explain(error: BaseException | None) -> Explanation:
    """The cause of an error: the first of `KNOWN` that fits; of the links that it fits, the innermost that Spark names."""
    if error is None:
        return Explanation("it ended without an error", None)
    chain = links(error)
    for link in reversed(chain):
        if link.name in _OURS:  # our own errors say what was required, what came and how to fix it
            return Explanation(_own(link), None)
    for known in KNOWN:
        fitting = [
            link for link in chain if known.pattern.search(f"{link.name} {link.kind}: {first_sentence(link.message)}")
        ]
        if fitting:
            named = [link for link in fitting if (link.condition or "spark" in link.kind) and not carries(link)]
            return Explanation(str((named or fitting)[-1]), known)
    return Explanation(str(cause(chain)), None)


_OURS: Final = {
    "Fatal",
    "KafkaConfigError",
    "Unavailable",
    "MadeAgain",
    "FrozenSettingsDiffer",
    "CheckpointTaken",
    "CheckpointGone",
    "ModelRefused",
}


def _own(link: Link) -> str:
    return first_sentence(link.message) or link.name
