"""The rates that a checkpoint's amounts are folded by: taken at its first start, kept beside it, and fixed for good."""

from typing import Final

import msgspec

from detection import durable_folder
from detection.storage import decoded
from jobs.checkpoint_settings import FrozenSettingsDiffer, is_begun
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.features.currencies import AS_PAID, Rates, RatesUnreadable, default_rates
from settings import Settings

_NAME: Final = "currency_rates"


def given_rates(settings: Settings) -> Rates | None:
    """The table that the settings name; None where they name none. Raises `Fatal` where it can't be read."""
    if settings.currency_rates is None:
        return None
    try:
        return Rates.read(settings.currency_rates)
    except RatesUnreadable as error:
        raise Fatal(f"--currency-rates: {error}") from None


def check_rates(settings: Settings) -> None:
    """Raise `Fatal` where the settings name a table that can't be read."""
    given_rates(settings)


def hold_rates(settings: Settings, folder: DurableFolder, replayed: DurableFolder | None = None) -> Rates:
    """The rates of a checkpoint, whose settings are in a folder. To be called before the other settings are recorded there.

    A first start takes the table that the settings name; else, in a replay, that of the checkpoint that is replayed, whose
    settings are in `replayed`; else the built-in one. A later start goes on by what the first one took, so that a release
    with newer rates changes no judgement. Raises `FrozenSettingsDiffer` where the settings name another table, and
    `Fatal` where there is nothing to replay, so that nothing is recorded then.
    """
    given = given_rates(settings)
    if not is_begun(folder):
        if replayed is not None and not is_begun(replayed):
            raise Fatal(
                f"--replay-of {settings.replay_of} has no ledger, nor anything else of a checkpoint: name the checkpoint of an "
                "earlier run of detect, or leave the flag out to judge all records again"
            )
        rates = given or (kept_rates(replayed) if replayed is not None else default_rates())
        if rates.base:
            folder.write_newest(_NAME, msgspec.json.format(msgspec.json.encode(rates)))
        return rates
    rates = kept_rates(folder)
    if given is not None and given.version != rates.version:
        raise FrozenSettingsDiffer(
            f"the checkpoint {settings.checkpoint} holds sums of amounts by the currency rates {_in_words(rates)}, and "
            f"{settings.currency_rates} has the rates {_in_words(given)}. Start without --currency-rates to go on by those "
            "that are kept in the checkpoint, or build the state again by the new ones: another --checkpoint with "
            "--starting-offsets earliest (and an --initial-state that `make train` has written by them, where there was one)"
        )
    return rates


def kept_rates(folder: durable_folder.DurableFolder) -> Rates:
    """What a checkpoint was begun with. Before release 0.2 there were no rates."""
    content = folder.read_newest(_NAME)
    return AS_PAID if content is None else decoded(content, f"settings/{_NAME}", Rates.from_json)


def _in_words(rates: Rates) -> str:
    return f"{rates.version} of {rates.date} (base {rates.base})" if rates.base else "none (amounts as they were paid)"
