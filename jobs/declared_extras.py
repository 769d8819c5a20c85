"""The extras that a job reads: those of its settings, held against what its checkpoint, or an earlier one, has recorded.

A checkpoint records what is declared. A later start may declare more, and say other words of them; a name that is recorded
stays, with its range. So every restart and every replay reads the same numbers from the same record, and a model that
judged once can judge again.
"""

import logging
from typing import Final

import msgspec

from detection.storage import Storage, decoded
from jobs.runtime.errors import Fatal
from ml.features.declared import DeclarationError, Declared, names, read
from ml.registry.model_store import ModelStore
from settings import Settings

NAME: Final = "extras.json"
_log = logging.getLogger(__name__)


def declared_in(settings: Settings) -> Declared:
    """What the file of the settings declares. Raises `Fatal` where it can't be read."""
    try:
        return read(settings.extras_file)
    except DeclarationError as error:
        raise Fatal(str(error)) from None


def check_extras(settings: Settings) -> None:
    """Raise `Fatal` before anything starts where the file of the settings declares nothing that can be used."""
    declared_in(settings)


def model_store(settings: Settings, declared: Declared) -> ModelStore:
    """The registry of models that may need what is declared."""
    return ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias, names(declared))


def hold_declared(settings: Settings, folder: Storage) -> Declared:
    """What is declared, recorded in a checkpoint's folder of settings. Raises `Fatal` where that holds other extras."""
    declared, recorded = declared_in(settings), _recorded(folder)
    differing = _differing(declared, recorded)
    if differing:
        raise Fatal(
            f"the checkpoint {settings.checkpoint} was made with other extras: {differing}. Declare them as they were, more "
            "beside them if wanted (--extras-file); or start with another --checkpoint and --starting-offsets earliest (and "
            "--initial-state, if there was one)"
        )
    if declared != recorded:
        folder.write_newest(NAME, msgspec.json.encode(declared))
        _log.info("transactions carry the extras %s", ", ".join(names(declared)))
    return declared


def check_replay(declared: Declared, checkpoint: str, folder: Storage) -> None:
    """Raise `Fatal` where a replay would read other extras than the checkpoint that it is a replay of; folder: its settings."""
    differing = _differing(declared, _recorded(folder))
    if differing:
        raise Fatal(
            f"--replay-of {checkpoint} was judged with other extras: {differing}. Declare them as they were, more beside them "
            "if wanted (--extras-file), or leave the flag out to judge all records again"
        )


def _recorded(folder: Storage) -> Declared:
    content = folder.read_newest(NAME)
    if content is None:
        return ()
    return decoded(content, f"settings/{NAME}", msgspec.json.Decoder(Declared).decode)


def _differing(declared: Declared, recorded: Declared) -> str:
    """What is recorded and no longer declared, or not with the same range, in words; "" where there is nothing."""
    now = {extra.name: extra for extra in declared}
    found = []
    for before in recorded:
        after = now.get(before.name)
        if after is None:
            found.append(f"{before.name} is not declared any more")
        elif (after.lowest, after.highest) != (before.lowest, before.highest):
            found.append(f"{before.name} was {before.range} and is now {after.range}")
    return "; ".join(found)
