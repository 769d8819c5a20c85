"""Changes which version is the champion, and which is on trial."""

from typing import Annotated

import typer

from ml.commands import common
from ml.commands.reports import report_model
from ml.features.declared import names
from ml.gate.gate import report_of
from ml.options import ExtrasFile
from ml.registry.model_store import Check, ModelRefused, ModelStore, Note, NotReady, RegistryError, Terms

Version = Annotated[int, typer.Argument(min=1, help="A version from `python -m ml models`.")]
Why = Annotated[str, typer.Option(help="The reason, for the history.")]
By = Annotated[str, typer.Option(help="Who or what does it, for the history.", show_default="user@host")]


def promote_command(
    version: Version,
    force: Annotated[bool, typer.Option("--force", help="Although the gate refused it; the history says so.")] = False,
    extras_file: ExtrasFile = None,
    why: Why = "",
    by: By = "",
) -> None:
    """Make a version the champion, once it has been loaded and checked; not one that the gate refused."""
    registry = common.registry()
    _check(registry, version, extras_file, "promoted")
    make_champion(registry, version, Note(by, why, force, _passed(registry, version, force, "promoted")))


def rollback_command(why: Why = "", by: By = "") -> None:
    """Make the champion before this one champion again."""
    registry, note = common.registry(), Note(by, why)
    version = registry.rollback(note)
    words = f"version {version} of {registry.name} is the {registry.alias} again"
    common.out.print(words)
    report_model("rollback", version, words, note)


def challenge_command(
    version: Annotated[int | None, typer.Argument(min=1, help="A version from `python -m ml models`.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the customers, whose payments it scores.")] = 1.0,
    judges: Annotated[
        float, typer.Option(min=0, max=1, help="Of the customers, whose payments it judges in the champion's place.")
    ] = 0.0,
    salt: Annotated[str, typer.Option(help="Draws other customers.", show_default="what the model is")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the trial of the version that is on trial.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Let it judge although the gate refused it; the history says so.")
    ] = False,
    extras_file: ExtrasFile = None,
    why: Why = "",
    by: By = "",
) -> None:
    """Put a version on trial beside the champion, once it has been loaded and checked."""
    registry = common.registry()
    if (version is None) != end:
        raise RegistryError("challenge takes the VERSION that is put on trial, or --end, which ends the trial")
    if version is None:
        note = Note(by, why)
        version = registry.withdraw(note)
        words = f"version {version} of {registry.name} is no longer on trial"
        common.out.print(words)
        report_model("challenge", version, words, note)
        return
    _check(registry, version, extras_file, "put on trial")
    gate = _passed(registry, version, force, "put on trial to judge") if judges else []
    note = Note(by, why, force, gate)
    registry.challenge(version, note, Terms(share, judges, salt))
    judging = f", and judges {judges:.2%} of the customers" if judges else ""
    words = f"version {version} of {registry.name} is on trial now{judging}"
    common.out.print(words)
    report_model("challenge", version, words, note)


def _passed(registry: ModelStore, version: int, force: bool, what: str) -> list[Check]:
    """What the gate said last, if it was asked. Raises `RegistryError` where it refused, unless that is to be overruled."""
    report = report_of(registry, version)
    if report is not None and not report.passed and not force:
        why = (
            "; ".join(f"{check.name}: {check.figures}" for check in report.failed[:1]) or "its report does not say why"
        )
        raise RegistryError(
            f"version {version} is not {what}: the gate refused it ({why}). "
            "Ask the gate again (`python -m ml gate VERSION`), or add --force"
        )
    return [] if report is None else report.checks


def _check(registry: ModelStore, version: int, extras_file: str | None, what: str) -> None:
    """Raise `RegistryError` where a version may not judge; what: is then not done with it."""
    try:
        registry.load(version, names(common.declared(extras_file)))
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not {what}: {refusal}") from refusal


def make_champion(registry: ModelStore, version: int, note: Note) -> None:
    """Make a version that was checked the champion, and say so."""
    registry.promote(version, note)
    words = f"version {version} of {registry.name} is the {registry.alias} now"
    common.out.print(words)
    report_model("promotion", version, words, note)


def make_new_champion(registry: ModelStore, version: int) -> None:
    """The same for a version that was registered just now; where it fails, the error names the command that is left to do."""
    try:
        make_champion(registry, version, Note(why="--promote"))
    except RegistryError as error:
        raise RegistryError(
            f"version {version} is registered, but is not the {registry.alias}: {error}. Promote it with "
            f"`python -m ml promote {version}`"
        ) from error
