"""What a checkpoint fixes at its first start, and the refusal of a start with other ones."""

from typing import Any

import msgspec

from detection.storage import decoded
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.features import CUSTOMER, FEATURES, FOLD_VERSION, RECENT
from settings import Settings

_NAME = "frozen.json"


class FrozenSettingsDiffer(Fatal):
    """The settings of this start contradict those that the checkpoint's state was built with."""


def frozen(settings: Settings) -> dict[str, Any]:
    """The settings that the layout of the state depends on."""
    return {
        "transactions_topic": settings.transactions_topic,
        "fold_version": FOLD_VERSION,
        "state_partitions": settings.state_partitions,
        "recent_transactions": RECENT,
        "features": list(FEATURES),
        "state_layout": str(CUSTOMER.descr),
        "hashes": "xxh3-128 of customer_id, Spark's xxhash64 for the partition",
    }


def is_begun(folder: DurableFolder) -> bool:
    """Whether the checkpoint, whose settings are in this folder, has been started before."""
    return folder.read(_NAME) is not None


def hold_frozen(settings: Settings, folder: DurableFolder) -> None:
    """Record the frozen settings at a first start; at a later one compare them.

    Raises `FrozenSettingsDiffer`, with what differs and the way out.
    """
    wanted = frozen(settings)
    content = folder.read(_NAME)
    if content is None:
        folder.write(_NAME, msgspec.json.encode(wanted))
        return
    recorded = decoded(content, f"settings/{_NAME}", msgspec.json.Decoder(dict[str, Any]).decode)
    version = recorded.get("fold_version", 1)
    if version != FOLD_VERSION:
        raise FrozenSettingsDiffer(
            f"the checkpoint {settings.checkpoint} holds states of fold version {version}, and this version folds by "
            f"{FOLD_VERSION}: what they mean has changed. Build them again: start with another --checkpoint and "
            "--starting-offsets earliest (and an --initial-state that `make train` has written again, where there was one)"
        )
    differing = [name for name in wanted if wanted[name] != recorded.get(name)]
    if differing:
        differences = "; ".join(f"{name} was {recorded.get(name)} and is now {wanted[name]}" for name in differing)
        raise FrozenSettingsDiffer(
            f"the checkpoint {settings.checkpoint} was made with other settings: {differences}. Start with the old ones, or "
            "rebuild the state: another --checkpoint with --starting-offsets earliest (and --initial-state, if there was one)"
        )
