"""The watcher: looks, decides, writes down what it is about to do, does it, and writes down what came of it."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from ml.one_line import one_line
from ml.registry.model_store import ModelStore
from watch.decision import decide
from watch.doing import Doer, Outcome
from watch.journal import STATUS, Folder, JournalUnusable
from watch.observing import UNSEEN, Observer
from watch.policy import WatchPolicy, WatchPolicyError
from watch.seen import Seen
from watch.state import Open, State, after
from watch.status import Status, status_of
from watch.steps import WORK, Entry, Step, Wait
from watch.worker import Worker

_AT_ONCE: Final = 20
"""So many steps may follow one another without a pause."""

_log = logging.getLogger(__name__)


@dataclass
class PolicyFile:
    """The policy, read again at each look. A broken edit keeps the last good one, and says so."""

    path: Path | None
    current: WatchPolicy
    error: str = ""

    @classmethod
    def opened(cls, path: Path | None) -> "PolicyFile":
        """Raises `WatchPolicyError`: to begin with, there has to be a good one."""
        return cls(path, WatchPolicy.read(path))

    def read(self) -> WatchPolicy:
        """The policy as it is now."""
        try:
            self.current, error = WatchPolicy.read(self.path), ""
        except WatchPolicyError as wrong:
            error = f"{wrong}; the policy before goes on"
        if error and error != self.error:
            _log.error("%s", error)
        self.error = error
        return self.current


@dataclass
class Watcher:
    """One watcher. announce: is given each entry that is written down; what it raises is not expected, so it must not raise."""

    folder: Folder
    policy: PolicyFile
    observer: Observer
    registry: ModelStore
    worker: Worker
    announce: Callable[[Entry], None] = lambda entry: None
    clock: Callable[[], float] = time.time
    entries: list[Entry] = field(init=False)
    state: State = field(init=False)
    _last: Status | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.entries = self.folder.entries()
        self.state = self.folder.state()

    def run(self, stopped: threading.Event) -> None:
        """Look until stopped. Whatever goes wrong in a look is logged, and the next look comes."""
        while not stopped.is_set():
            for _ in range(_AT_ONCE):
                if not isinstance(self.look(), Step) or stopped.is_set():
                    break
            stopped.wait(self.policy.current.every_seconds)
        self.worker.stop()

    def look(self, *, dry: bool = False) -> Step | Wait:
        """One look, and the step that it leads to; dry: nothing is done, nor written."""
        policy = self.policy.read()
        try:
            return self._look(policy, dry)
        except UNSEEN as error:
            return self._blind(one_line(error), dry)
        except Exception as error:  # noqa: BLE001  # the loop goes on: a look that fails costs nothing else
            _log.exception("a look failed")
            return self._blind(f"{type(error).__name__}: {one_line(error)}", dry)

    def _look(self, policy: WatchPolicy, dry: bool) -> Step | Wait:
        if self.state.work is not None and not dry and not self.folder.paused():
            outcome = self.worker.poll(self.state.work)
            if outcome is not None:
                self._write(self.state.work.id, self.state.work.step, outcome, self._event_time())
        seen = self.observer.look(self.state, policy)
        decision = decide(seen, self.state, policy)
        if dry:
            return decision
        if isinstance(decision, Step):
            self._take(decision, seen)
        self._show(status_of(decision, seen, self.state, self.entries, self._next_look()))
        return decision

    def _take(self, step: Step, seen: Seen) -> None:
        """Take a step. One that is open in the journal goes on under its own id."""
        event_time = seen.event_now or 0
        opened = self.state.begun
        if opened is None:
            opened = Open(self.state.next_id, step, seen.now)
            self._append(Entry(opened.id, seen.now, event_time, "begun", step))
        _log.info("%s: %s", step.kind, step.why)
        if step.kind in WORK:
            self.worker.poll(self.state.work or opened)
        else:
            self._write(opened.id, step, self._done(step), event_time)

    def _done(self, step: Step) -> Outcome:
        """What became of a quick step. Whatever goes wrong in it is its failure, so that it waits before it is repeated."""
        try:
            return Doer(self.registry).do(step)
        except Exception as error:  # noqa: BLE001  # it is logged whole, and the loop goes on
            _log.exception("the step %s failed", step.kind)
            return Outcome("failed", f"{type(error).__name__}: {one_line(error)}")

    def _write(self, id: str, step: Step, outcome: Outcome, event_time: int) -> None:
        now = int(self.clock() * 1000)
        self._append(Entry(id, now, event_time, outcome.phase, step, *outcome[2:], said=outcome.said))
        level = logging.ERROR if outcome.phase == "failed" else logging.INFO
        _log.log(level, "%s %s: %s", step.kind, outcome.phase, outcome.said)

    def _append(self, entry: Entry) -> None:
        self.folder.append(entry)
        self.entries.append(entry)
        self.state = after(self.state, entry)
        self.announce(entry)

    def _event_time(self) -> int:
        """The newest transaction's time at the last look."""
        of_last = 0 if self._last is None else self._last.event_time or 0
        return max(of_last, self.entries[-1].event_time if self.entries else 0)

    def _next_look(self) -> int:
        return int((self.clock() + self.policy.current.every_seconds) * 1000)

    def _blind(self, why: str, dry: bool) -> Wait:
        wait = Wait(f"nothing is decided: {why}")
        if not dry:
            now = int(self.clock() * 1000)
            self._show(Status(now, "blind", wait.why, now, self._next_look(), steps=tuple(self.entries[:-21:-1])))
        return wait

    def _show(self, status: Status) -> None:
        """Write the status; where the disk is full, the log has it."""
        before = self._last
        since = before.since if before is not None and before.doing == status.doing else status.since
        file = "built-in" if self.policy.path is None else str(self.policy.path)
        self._last = msgspec.structs.replace(status, since=since, policy=file, policy_error=self.policy.error)
        if before is None or before.why != status.why:
            _log.info("%s: %s", status.doing, status.why)
        try:
            self.folder.write(STATUS, msgspec.json.format(msgspec.json.encode(self._last)))
        except (OSError, JournalUnusable) as error:
            _log.warning("the status can't be written: %s", error)
