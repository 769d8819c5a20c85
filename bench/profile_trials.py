"""What profiles cost: detect with publish by a model that judges by profiles, against one that knows of none."""

from dataclasses import replace

from filelock import FileLock
from rich.progress import Progress

from bench.environment import Environment
from bench.inputs import Input, trained
from bench.profile_figures import WITH, WITHOUT
from bench.result import Trial
from bench.stages import Say
from bench.systems import Scoreline
from bench.trial import Plan, trial


def profile_trials(
    environment: Environment, made: Input, plan: Plan, flags: tuple[str, ...], say: Say, progress: Progress
) -> list[Trial]:
    """A trial without, and one with profiles, which also makes them, over the same transactions."""
    profiled = _with_profiles(made, progress)
    systems = (Scoreline(flags, name=WITHOUT), made), (Scoreline(flags, name=WITH), profiled)
    return [trial(environment, system, of, plan, say) for system, of in systems]


def _with_profiles(made: Input, progress: Progress) -> Input:
    """The same input with a champion that judges by profiles; trained once and kept beside the other."""
    found, complete = replace(made, judged_by="profiles"), made.folder / "complete-profiles"
    with FileLock(made.folder.with_suffix(".lock")):
        if not complete.exists():
            trained(found, progress, "--profiles")
            complete.touch()
    return found
