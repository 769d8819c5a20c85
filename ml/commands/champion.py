"""Lists the registered versions, and changes which of them is the champion."""

from typing import Annotated

import typer

from ml import console
from ml.commands import common
from ml.features.declared import names
from ml.options import ExtrasFile
from ml.registry import listing
from ml.registry.model_store import ModelRefused, ModelStore, NotReady, RegistryError

Version = Annotated[int, typer.Argument(min=1, help="A version from `python -m ml models`.")]


def models_command() -> None:
    """List the registered versions, the newest first."""
    rows = [listing.cells(registered) for registered in common.registry().models()]
    caption = "alerts: of the last tenth of the history, unseen in training"
    console.show_table(common.out, listing.HEADER, rows, caption)


def promote_command(version: Version, extras_file: ExtrasFile = None) -> None:
    """Make a version the champion, once it has been loaded and checked."""
    registry = common.registry()
    try:
        registry.load(version, names(common.declared(extras_file)))
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not promoted: {refusal}") from refusal
    make_champion(registry, version)


def rollback_command() -> None:
    """Make the champion before this one champion again."""
    registry = common.registry()
    common.out.print(f"version {registry.rollback()} of {registry.name} is the {registry.alias} again")


def make_champion(registry: ModelStore, version: int) -> None:
    """Make a version that was checked the champion, and say so."""
    registry.promote(version)
    common.out.print(f"version {version} of {registry.name} is the {registry.alias} now")


def make_new_champion(registry: ModelStore, version: int) -> None:
    """The same for a version that was registered just now; where it fails, the error names the command that is left to do."""
    try:
        make_champion(registry, version)
    except RegistryError as error:
        raise RegistryError(
            f"version {version} is registered, but is not the {registry.alias}: {error}. Promote it with "
            f"`python -m ml promote {version}`"
        ) from error
