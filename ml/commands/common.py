"""What the commands share: the two consoles, and what the settings and the options name, opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ml import console
from ml.dataset.history import History, HistoryError
from ml.features.currencies import Rates, default_rates
from ml.features.declared import Declared
from ml.features.declared import read as declaration
from ml.registry.model_store import ModelStore
from settings import Settings, local_path

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


def opened(history: Path, extras: bool) -> History:
    """A history with amounts by the rates of the settings; extras: whether its columns of extras count."""
    found = History.open(history, rates())
    return found if extras else found.without_extras()


def rates() -> Rates:
    """By which amounts are compared: SCORELINE_CURRENCY_RATES, or the built-in table."""
    file = Settings.from_command_line([]).currency_rates
    return default_rates() if file is None else Rates.read(file)


def local(place: str, what: str) -> Path:
    """The place as a path; what: the option or argument that named it. Raises `HistoryError` for what is none, or elsewhere."""
    if "\0" in place:
        raise HistoryError(f"{what} has to be a path on this machine, but it is {place!r}")
    try:
        return local_path(place)
    except ValueError as error:
        raise HistoryError(f"{what} {error}, but it is {place!r}: copy it to this machine") from None


def declared(file: str | None) -> Declared:
    """What a file declares; without one, the file of the settings."""
    path = Settings.from_command_line([]).extras_file if file is None else local(file, "--extras-file")
    return declaration(path)


def registry(extras: tuple[str, ...] = ()) -> ModelStore:
    """The registry and the model that the settings name; extras: those that are declared."""
    settings = Settings.from_command_line([])  # typer has read the flags already
    return ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias, extras)


@contextmanager
def bars() -> Iterator[console.Bars]:
    """Progress on standard error, as bars that end with the block."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    display = Progress(*columns, console=err)
    try:
        yield console.Bars(display)
    finally:
        if display.live.is_started:
            display.stop()
