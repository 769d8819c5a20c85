"""Takes a quick step by the command that a person has, or finds that it was taken already, or that a person was faster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ml.commands import champion as commands
from ml.registry.model_store import ModelStore, RegistryError
from watch.seen import Trying
from watch.steps import Phase, Step

BY: Final = "scoreline watch"
"""Who did it, in the promotion history."""

_CHANGES: Final = ("promote", "rollback")
_NO_TRIAL: Final = Trying(0)


class Outcome(NamedTuple):
    """What became of a step; the fields as in `watch.steps.Entry`."""

    phase: Phase
    said: str
    version: int = 0
    passed: bool = False
    better: bool = False


@dataclass(frozen=True)
class Doer:
    """Takes steps on a registry. A step that was taken before a kill is found by what the aliases say, and not repeated."""

    registry: ModelStore

    def do(self, step: Step) -> Outcome:
        """Take a step. Never raises what the registry raises: that is a step that failed."""
        try:
            return _HOW[step.kind](self, step)
        except RegistryError as error:
            return Outcome("failed", str(error))

    def _trial(self) -> Trying:
        found = self.registry.on_trial()
        return _NO_TRIAL if found is None else Trying(found.entry.version, found.terms.share, found.terms.judges)

    def note(self, step: Step) -> Outcome:
        """Nothing but the entry itself."""
        return Outcome("done", step.why)

    def promote(self, step: Step) -> Outcome:
        """Make the version the champion, unless it is, or another one became that in between.

        A kill inside may leave the champion before unnamed, for which a rollback asks, or the trial on: then it is repeated.
        """
        now = self.registry.champion()
        unchanged = by_hand(self.registry) == step.by_hand
        whole = self.registry.previous() == step.champion and self._trial().version != step.version
        if now == step.version and (whole or not unchanged):
            return Outcome("done", f"version {step.version} is the champion")
        if now not in (step.champion, step.version) or not unchanged:
            return Outcome("overruled", f"a person made version {now} the champion in between")
        commands.promote_command(step.version, why=step.why, by=BY)
        return Outcome("done", f"version {step.version} is the champion now")

    def rollback(self, step: Step) -> Outcome:
        """Go back from the champion that was dangerous, unless another one judges already.

        `Aliases.rollback` may be repeated after a kill inside: it goes back one champion in all.
        """
        now = self.registry.champion()
        if now == step.champion and by_hand(self.registry) != step.by_hand:
            return Outcome("overruled", f"a person made version {now} the champion in between")
        if now == step.champion:
            commands.rollback_command(why=step.why, by=BY)
            now = self.registry.champion()
        return Outcome("done", f"version {now} is the champion again", now)

    def challenge(self, step: Step) -> Outcome:
        """Put the version on trial on its terms, unless it is, or a person put another one there."""
        trial = self._trial()
        if trial == Trying(step.version, 1.0, step.judges):
            return Outcome("done", f"version {step.version} is on trial")
        if trial.version != step.trial or self.registry.champion() != step.champion:
            return Outcome("overruled", "a person changed the champion or the trial in between")
        commands.challenge_command(step.version, share=1.0, judges=step.judges, why=step.why, by=BY)
        return Outcome("done", f"version {step.version} is on trial now")

    def withdraw(self, step: Step) -> Outcome:
        """End the trial of the version, unless it has ended."""
        if self._trial().version == step.version:
            commands.challenge_command(end=True, why=step.why, by=BY)
        return Outcome("done", f"version {step.version} is no longer on trial")


def by_hand(registry: ModelStore) -> int:
    """How often others than the watcher have changed the champion, by the promotion history."""
    return sum(event.action in _CHANGES and event.by != BY for event in registry.events())


_HOW: Final[dict[str, Callable[[Doer, Step], Outcome]]] = {
    "note": Doer.note,
    "alarm": Doer.note,
    "promote": Doer.promote,
    "rollback": Doer.rollback,
    "challenge": Doer.challenge,
    "withdraw": Doer.withdraw,
}
