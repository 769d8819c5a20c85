"""Lists the registered versions and their history, and changes which of them is the champion or on trial."""

from typing import Annotated

import msgspec
import typer

from ml import console
from ml.commands import common
from ml.features.declared import names
from ml.options import ExtrasFile
from ml.registry import listing
from ml.registry.model_store import ModelRefused, ModelStore, Note, NotReady, RegistryError

Version = Annotated[int, typer.Argument(min=1, help="A version from `python -m ml models`.")]
Why = Annotated[str, typer.Option(help="The reason, for the history.")]
By = Annotated[str, typer.Option(help="Who or what does it, for the history.", show_default="user@host")]


def models_command(
    history: Annotated[
        bool, typer.Option("--history", help="Show what was done to champion and challenger instead, the newest first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line, with every detail.")] = False,
) -> None:
    """List the registered versions, the newest first, or their history."""
    registry = common.registry()
    if as_json:
        for row in registry.events()[::-1] if history else registry.models():
            print(msgspec.json.encode(row).decode())
        return
    if history:
        events = [listing.event_cells(event) for event in registry.events()[::-1]]
        console.show_table(common.out, listing.EVENT_HEADER, events, "gate: what `gate` said before a promotion")
        return
    rows = [listing.cells(registered) for registered in registry.models()]
    caption = "alerts: of the last tenth of the history, unseen in training; who was champion when: --history"
    console.show_table(common.out, listing.HEADER, rows, caption)


def promote_command(version: Version, extras_file: ExtrasFile = None, why: Why = "", by: By = "") -> None:
    """Make a version the champion, once it has been loaded and checked."""
    registry = common.registry()
    _check(registry, version, extras_file, "promoted")
    make_champion(registry, version, Note(by, why))


def rollback_command(why: Why = "", by: By = "") -> None:
    """Make the champion before this one champion again."""
    registry = common.registry()
    common.out.print(f"version {registry.rollback(Note(by, why))} of {registry.name} is the {registry.alias} again")


def challenge_command(
    version: Annotated[int | None, typer.Argument(min=1, help="A version from `python -m ml models`.")] = None,
    end: Annotated[bool, typer.Option("--end", help="End the trial of the version that is on trial.")] = False,
    extras_file: ExtrasFile = None,
    why: Why = "",
    by: By = "",
) -> None:
    """Put a version on trial beside the champion, once it has been loaded and checked."""
    registry = common.registry()
    if (version is None) != end:
        raise RegistryError("challenge takes the VERSION that is put on trial, or --end, which ends the trial")
    if version is None:
        common.out.print(f"version {registry.withdraw(Note(by, why))} of {registry.name} is no longer on trial")
        return
    _check(registry, version, extras_file, "put on trial")
    registry.challenge(version, Note(by, why))
    common.out.print(f"version {version} of {registry.name} is on trial now")


def _check(registry: ModelStore, version: int, extras_file: str | None, what: str) -> None:
    """Raise `RegistryError` where a version may not judge; what: is then not done with it."""
    try:
        registry.load(version, names(common.declared(extras_file)))
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not {what}: {refusal}") from refusal


def make_champion(registry: ModelStore, version: int, note: Note) -> None:
    """Make a version that was checked the champion, and say so."""
    registry.promote(version, note)
    common.out.print(f"version {version} of {registry.name} is the {registry.alias} now")


def make_new_champion(registry: ModelStore, version: int) -> None:
    """The same for a version that was registered just now; where it fails, the error names the command that is left to do."""
    try:
        make_champion(registry, version, Note(why="--promote"))
    except RegistryError as error:
        raise RegistryError(
            f"version {version} is registered, but is not the {registry.alias}: {error}. Promote it with "
            f"`python -m ml promote {version}`"
        ) from error
