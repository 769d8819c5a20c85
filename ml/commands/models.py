"""Lists the registered versions and their history, and moves versions between registries."""

from typing import Annotated

import msgspec
import typer

from ml import console
from ml.commands import common
from ml.commands.champion import Version
from ml.registry import exchange, listing
from ml.registry.model_store import ModelRefused, NotReady, RegistryError

app = typer.Typer(invoke_without_command=True, help="List the registered versions, the newest first, or move one.")

Directory = Annotated[str, typer.Argument(help="A folder.")]


@app.callback()
def models_command(
    context: typer.Context,
    history: Annotated[
        bool, typer.Option("--history", help="Show what was done to champion and challenger instead, the newest first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line, with every detail.")] = False,
) -> None:
    """List the registered versions, the newest first, or their history."""
    if context.invoked_subcommand is not None:
        return
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


@app.command("export")
def export_command(version: Version, directory: Directory) -> None:
    """Write a version with its card to a folder, for another registry."""
    folder = common.local(directory, "DIRECTORY")
    try:
        model = exchange.export(common.registry(), version, folder)
    except (ModelRefused, NotReady) as refusal:
        raise RegistryError(f"version {version} is not exported: {refusal}") from refusal
    common.out.print(
        f"version {version} of {model.name} ({model.digest[:16]}) is in {folder}; read {exchange.CARD} there"
    )


@app.command("import")
def import_command(directory: Directory) -> None:
    """Register what `export` wrote as the newest version. It is not promoted."""
    registry, folder = common.registry(), common.local(directory, "DIRECTORY")
    try:
        model = exchange.imported(registry, folder)
    except ModelRefused as refusal:
        raise RegistryError(f"the model in {folder} is not imported: {refusal}") from refusal
    common.out.print(f"version {model.version} of {model.name} ({model.digest[:16]}) came from {folder}")
