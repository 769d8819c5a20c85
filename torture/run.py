"""One torture from its beginning to its end: servers, models, application, feed, kills, and the accounting."""

import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.machine import machine
from ml.registry.model_store import ModelStore, RegistryError
from torture.application import ROOT, Application
from torture.audit import audit, ends_of
from torture.batches import LedgerWatch
from torture.checkpoint import reached
from torture.feed import Status, send_some
from torture.kills import SHARES, WITH_SERVICE, Done, Killer, Targets, planned
from torture.models import register_two
from torture.options import Options
from torture.result import Result
from torture.servers import Servers
from torture.service import Replica

FIRST_COMMIT_SECONDS: Final = 240.0
STOP_SECONDS: Final = 60.0
WARM_UP: Final = 200
REPORT_SECONDS: Final = 5.0

Say = Callable[[str], None]


class Torture:
    """One run; `say` takes its progress, a line at a time."""

    def __init__(self, options: Options, servers: Servers, data: Path, say: Say) -> None:
        self._options, self._servers, self._data, self._say = options, servers, data, say
        self._began = time.monotonic()
        self._settings = servers.settings
        self._checkpoint = Path(self._settings.checkpoint)
        self._registry = ModelStore(servers.mlflow.url, self._settings.model_name, self._settings.model_alias)
        self._application = Application(self._settings)
        self._replica = Replica(servers, data, self._registry, options.seed, options.service)
        self._watch = LedgerWatch(self._checkpoint / "ledger")
        self._status_file = data / "feed.json"
        self._promotions, self._reported = 0, 0.0
        self._troubles: list[str] = []
        self._seconds: dict[str, float] = {}
        self._kill_log = data / "kills.jsonl"

    def run(self) -> Result:
        """The whole run."""
        started = datetime.now(UTC)
        with self._timed("models"):
            register_two(self._registry, self._options.seed)
        feed: subprocess.Popen[bytes] | None = None
        try:
            self._application.start()
            self._replica.start()
            with self._watch:
                with self._timed("first commit"):
                    self._await_first_commit()
                feed_seconds = self._options.feed_seconds(time.monotonic() - self._began)
                feed = self._feed(feed_seconds)
                self._replica.call()
                killer = self._disturb(feed, feed_seconds)
                with self._timed("drain"):
                    drained = self._drain(feed_seconds)
                with self._timed("stop"):
                    stopped = self._application.stop(STOP_SECONDS)
        finally:
            if feed is not None:
                feed.kill()
                feed.wait()
            left = self._application.sweep() + self._replica.stop(STOP_SECONDS)
        with self._timed("accounting"):
            self._say("accounting for every record")
            figures = audit(
                self._servers.direct, self._watch.entries, self._registry, self._data, self._replica.account
            )
        hits = Counter(kill.kind for kill in killer.done if kill.hit)
        return Result(
            started=started,
            machine=machine(),
            seed=self._options.seed,
            minutes=self._options.minutes,
            rate=self._options.rate,
            feed_seconds=feed_seconds,
            seconds=self._seconds,
            kills=dict(hits),
            missed_kills=sum(not kill.hit for kill in killer.done),
            starts=self._application.starts,
            promotions=self._promotions,
            partitions=self._servers.partitions,
            micro_batches=len(self._watch.entries),
            fed=self._fed(),
            drained=drained,
            stopped=stopped,
            left_behind=left,
            ledger_changed=sorted(self._watch.changed),
            ended_by_itself=self._application.ended_by_itself,
            troubles=self._troubles + killer.errors + self._replica.troubles,
            figures=figures,
            early=self._replica.figures,
            called=self._replica.called,
            service_starts=self._replica.application.starts,
            service_ended_by_itself=self._replica.application.ended_by_itself,
            each_kill=killer.done,
        )

    def _feed(self, seconds: float) -> subprocess.Popen[bytes]:
        options, settings = self._options, self._servers.direct
        flags = {
            "servers": settings.kafka_bootstrap_servers,
            "topic": settings.transactions_topic,
            "labels-topic": settings.labels_topic,
            "rate": options.rate,
            "seconds": seconds,
            "seed": options.seed,
            "status": self._status_file,
        }
        command = [sys.executable, "-m", "torture.feed"]
        command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        return subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)

    def _fed(self) -> Status:
        with suppress(FileNotFoundError):
            return msgspec.json.decode(self._status_file.read_bytes(), type=Status)
        return Status()

    def _await_first_commit(self) -> None:
        """Until a few ordinary payments are judged."""
        send_some(self._servers.direct, WARM_UP, self._options.seed)
        commit = self._checkpoint / "detect" / "commits" / "0"
        deadline = time.monotonic() + FIRST_COMMIT_SECONDS
        while not commit.exists():
            if time.monotonic() > deadline:
                said = self._application.ended_by_itself[-1].said if self._application.ended_by_itself else "nothing"
                raise RuntimeError(
                    f"detect committed nothing in {FIRST_COMMIT_SECONDS:.0f} s; the application said {said}"
                )
            self._report_progress("starting")
            time.sleep(0.5)

    def _disturb(self, feed: subprocess.Popen[bytes], seconds: float) -> Killer:
        """Until the feed has ended: kills by plan, promotions, and partitions that are added."""
        options = self._options
        shares = WITH_SERVICE if options.service else SHARES
        plan = planned(options.planned_kills, 0.95 * seconds, options.seed, shares)
        targets = Targets(self._servers, self._application, self._replica.application, lambda: len(self._watch.entries))
        killer = Killer(plan, targets, options.seed, self._note)
        began = time.monotonic()
        promotion, partition = max(10.0, seconds / 20), seconds / 6
        next_promotion, next_partition = promotion, partition
        killer.start()
        while feed.poll() is None:
            passed = time.monotonic() - began
            if passed >= next_promotion:
                next_promotion = passed + promotion
                threading.Thread(target=self._promote, daemon=True).start()
            if passed >= next_partition and self._servers.add_partition():
                next_partition = passed + partition
            self._report_progress(f"kills {sum(kill.hit for kill in killer.done)} of {len(plan)}")
            with suppress(subprocess.TimeoutExpired):
                feed.wait(0.5)
        self._replica.quiet()
        killer.ended.set()
        killer.join()
        self._servers.kafka.proxy.let_go()
        self._servers.influxdb_proxy.let_go()
        self._servers.stack.start()
        return killer

    def _promote(self) -> None:
        try:
            self._registry.promote(random.choice((1, 2)))
            self._promotions += 1
        except RegistryError:
            pass  # it is unavailable at the moment

    def _drain(self, feed_seconds: float) -> bool:
        """Until detect and publish have committed all that there is, or the time is over."""
        options, settings = self._options, self._servers.direct
        accounting = 20 + options.accounting_share * feed_seconds
        deadline = max(self._began + 60 * options.minutes - accounting, time.monotonic() + options.patience_seconds)
        detect, publish = self._checkpoint / "detect", self._checkpoint / "publish"
        while time.monotonic() < deadline:
            if reached(detect, ends_of(settings, settings.transactions_topic)) and reached(
                publish, ends_of(settings, settings.scores_topic, settings.invalid_topic)
            ):
                return True
            self._report_progress("working off")
            time.sleep(1)
        return False

    def _note(self, kill: Done) -> None:
        with self._kill_log.open("ab") as log:
            log.write(msgspec.json.encode(kill) + b"\n")
        self._say(f"{kill.kind}: {kill.what}")

    def _report_progress(self, what: str) -> None:
        passed = time.monotonic() - self._began
        if passed < self._reported + REPORT_SECONDS:
            return
        self._reported = passed
        entries = self._watch.entries
        taken = sum(entries[-1].end.values()) if entries else 0
        self._say(
            f"{what} · sent {self._fed().sent:,} · taken up {taken:,} in {len(entries):,} micro-batches · "
            f"starts {self._application.starts} · partitions {self._servers.partitions} · promotions {self._promotions}"
        )

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = round(time.monotonic() - began, 1)


def torture(options: Options) -> Result:
    """Run one torture on servers of its own, with its progress on standard error."""
    began = time.monotonic()

    def say(line: str) -> None:
        passed = int(time.monotonic() - began)
        print(f"[{passed // 60:2d}:{passed % 60:02d} of {options.minutes:g}:00] {line}", file=sys.stderr, flush=True)

    data = Path(tempfile.mkdtemp(prefix="scoreline-torture-", dir=options.data))
    say(f"servers and logs are in {data}; seed {options.seed}, {options.planned_kills} kills")
    try:
        with Servers(data) as servers:
            return Torture(options, servers, data, say).run()
    finally:
        if not options.keep:
            shutil.rmtree(data, ignore_errors=True)
