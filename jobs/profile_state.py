"""What the profiles query keeps between micro-batches, and the table that it makes of it when a block is over."""

import logging
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from detection.profile_store import ProfileStore
from detection.ranges import Offsets
from detection.storage import Storage, decoded
from jobs.known_labels import EARLY, KNOWN, Taken, newest_of_each, take_in
from jobs.profile_rows import ENTRY, Counted, by_transaction
from jobs.profile_state_form import Limits, Made, State, Totals, packed, unpacked
from jobs.seen import Seen
from jobs.sorted_files import Merge, SortedFiles
from ml.features.profile_counts import added_up, last_full_block
from ml.features.profile_file import write
from ml.features.profile_schema import COUNTS, LABEL_COUNTS, MERCHANT
from ml.features.profiles import Profiles, split_at
from versions.past_profiles import PastProfiles

_log = logging.getLogger(__name__)

_STATE: Final = "state"
_TRAFFIC: Final = np.dtype([("block", "i8"), ("transactions", "i8")])
_TRAFFIC_DAYS: Final = 6
_AHEAD_DAYS: Final = 2
_EARLY_DAYS: Final = 1
_MOST_ENTITIES: Final = 1 << 22
"""A table has no more merchants and categories, of 88 bytes: those with most transactions, whatever names are invented."""


class ProfileState:
    """Takes in what was counted. Nothing counts until `settle` has made it durable; then all of it does.

    A micro-batch that is run again before that comes to the same.
    """

    def __init__(self, folder: Storage, tables: ProfileStore, limits: Limits) -> None:
        self._folder = folder
        self._tables = tables
        self._limits = limits
        content = folder.read_newest(_STATE)
        new = State(-1, limits.block_seconds, None, {}, b"", Seen().packed, b"", Totals(), {})
        self.state = new if content is None else decoded(content, f"profiles-state/{_STATE}", unpacked)
        self.is_new = content is None
        self._kinds = {
            "entries": self._files("entries", ENTRY, lambda old, new: by_transaction(np.concatenate([old, new]))),
            "known": self._files("known", KNOWN, newest_of_each),
            "counts": self._files("counts", COUNTS, added_up),
            "labels": self._files("labels", LABEL_COUNTS, added_up),
        }

    def _files(self, kind: str, dtype: "np.dtype[np.void]", merge: Merge) -> SortedFiles:
        return SortedFiles(self._folder, kind, dtype, merge, self.state.files.get(kind, []))

    def begin(self, past: PastProfiles, version: int) -> Made:
        """Begin with the profiles of a history."""
        self._tables.keep(past.name(version), past.content)
        table = self._tables.table(past.name(version))
        made = Made(version, past.digest, table.as_of, len(past.content), len(table))
        self._kinds["counts"].add(added_up(past.counts), -1)
        self._kinds["labels"].add(added_up(past.label_counts), -1)
        traffic = self._traffic(past.counts).tobytes()
        self.settle(msgspec.structs.replace(self.state, made=made, traffic=traffic, history_until=table.as_of))
        return made

    def take_in(self, micro_batch: int, counted: Counted, offsets: dict[str, Offsets], newest: Made | None) -> State:
        """The state with a micro-batch taken in, and with a further table where a block is over; its files are written.

        newest: the last table that was announced, perhaps by another checkpoint: versions go on from it.
        """
        self._kinds["entries"].add(counted.entries, micro_batch)
        until = self.state.history_until
        counts = counted.counts if until is None else split_at(counted.counts, until)[1]
        self._kinds["counts"].add(counts, micro_batch)
        made, traffic = self.state.made, self._traffic(counts)
        over = last_full_block(traffic["block"], traffic["transactions"], self._limits.block_seconds)
        closes = over is not None and (made is None or over > made.as_of)
        at = _open_block(over if closes else None, made, traffic)
        taken = self._take_labels(counted, at, micro_batch)
        if closes and over is not None:
            made = self._make(over, micro_batch, newest)
            traffic = traffic[traffic["block"] > over - self._limits.blocks(_TRAFFIC_DAYS)]
            self._forget(over)
        seen = Seen.unpacked(self.state.seen)
        seen.take_in(counted.positions, counted.figures.latest)
        return msgspec.structs.replace(
            self.state,
            micro_batch=micro_batch,
            made=made,
            traffic=traffic.tobytes(),
            seen=seen.packed,
            early=taken.early.tobytes(),
            totals=_further(self.state.totals, counted, taken),
            offsets=offsets,
        )

    def settle(self, state: State) -> None:
        """Make a state durable, and delete what it no longer needs."""
        self.state = msgspec.structs.replace(state, files={kind: files.listed for kind, files in self._kinds.items()})
        self._folder.write_newest(_STATE, packed(self.state))
        for files in self._kinds.values():
            files.delete_others()
        self._tables.purge(set(), most=100, newest=3)

    def forget_partitions(self, partitions: list[int], topic: str) -> bool:
        """Begin again with partitions of transactions that seem to be of a topic that was made again; returns whether any did.

        topic: its id, by Kafka. Scores say nothing of it, and anybody may write one: a partition begins again once for an
        id. Brokers that know no ids, and so give an empty one, are no help.
        """
        again = [each for each in partitions if not topic or self.state.topics.get(each) != topic]
        seen = Seen.unpacked(self.state.seen)
        for partition in again:
            seen.forget_partition(partition)
        topics = self.state.topics | dict.fromkeys(again, topic)
        self.state = msgspec.structs.replace(self.state, seen=seen.packed, topics=topics)
        return bool(again)

    def _traffic(self, counts: np.ndarray) -> np.ndarray:
        """How many transactions there were in each block, of the last days."""
        of_all = counts[counts["kind"] == MERCHANT]
        known = np.frombuffer(self.state.traffic, _TRAFFIC)
        block, place = np.unique(np.concatenate([known["block"], of_all["block"]]), return_inverse=True)
        out = np.zeros(len(block), _TRAFFIC)
        out["block"] = block
        np.add.at(out["transactions"], place, np.concatenate([known["transactions"], of_all["transactions"]]))
        most = 4 * self._limits.blocks(_TRAFFIC_DAYS + _AHEAD_DAYS)
        if len(out) > most:  # times were invented
            out = np.sort(out[np.argsort(-out["transactions"], kind="stable")[:most]], order="block")
        return out

    def _take_labels(self, counted: Counted, at: int, micro_batch: int) -> Taken:
        early = np.frombuffer(self.state.early, EARLY)
        forget = at - self._limits.blocks(_EARLY_DAYS)
        taken = take_in(counted.labels, early, at, forget, self._kinds["entries"], self._kinds["known"])
        self._kinds["known"].add(taken.known, micro_batch)
        self._kinds["labels"].add(taken.counts, micro_batch)
        return taken

    def _make(self, block: int, micro_batch: int, newest: Made | None) -> Made:
        table = self._next(block, micro_batch)
        with tempfile.TemporaryDirectory(prefix="scoreline-profiles-") as temporary:
            file = Path(temporary, "table")
            digest, entities = write(table, file), len(table)
            del table  # its content is as large again
            content = file.read_bytes()
        last = self.state.made.version if self.state.made is not None else 0
        # What is announced and not settled, as before a kill, is announced again under its version.
        version = max(last + 1, 0 if newest is None else newest.version + (newest.digest != digest))
        made = Made(version, digest, block, len(content), entities)
        self._tables.keep(made.name, content)
        return made

    def _next(self, block: int, micro_batch: int) -> Profiles:
        """The last table moved on to a block, with all that is known by then; what is of later ones goes on waiting."""
        made = self.state.made
        table = (
            Profiles.empty(block, self._limits.block_seconds) if made is None else self._tables.table(made.name).copy()
        )
        table.advance(block)
        for kind, take in (("counts", table.take_in), ("labels", table.take_in_labels)):
            waiting = []
            for rows in self._kinds[kind].pieces():  # one by one: of a million merchants each is large
                known, later = split_at(rows, block)
                take(known)
                waiting.append(later[later["block"] <= block + self._limits.blocks(_AHEAD_DAYS)])
            if waiting:
                self._kinds[kind].replace(added_up(*waiting), micro_batch)
        return table if len(table) <= _MOST_ENTITIES else table.pruned(_MOST_ENTITIES)

    def _forget(self, block: int) -> None:
        before = block - self._limits.blocks(self._limits.index_days)
        dropped = [
            self._kinds[kind].drop_before(before, self._limits.index_transactions) for kind in ("entries", "known")
        ]
        if dropped[0]:
            _log.warning(
                "labels no longer find %d transactions: --profile-index-transactions is less than what came in "
                "--profile-index-days",
                dropped[0],
            )


def _open_block(over: int | None, made: Made | None, traffic: np.ndarray) -> int:
    """The block that labels count in: the one that is just over, whose table is about to be made, else the one after the last
    table; before there is one the busiest."""
    if over is not None:
        return over
    if made is not None:
        return made.as_of + 1
    return int(traffic["block"][traffic["transactions"].argmax()]) if len(traffic) else 0


def _further(totals: Totals, counted: Counted, taken: Taken) -> Totals:
    figures = counted.figures
    return Totals(
        totals.scores + figures.scores - figures.repeated,
        totals.labels + figures.labels,
        totals.unchanged + taken.unchanged,
        totals.given_up + taken.given_up,
        totals.repeated + figures.repeated,
        totals.foreign + figures.foreign,
    )
