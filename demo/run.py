"""One run of the demo, from its first stage to its summary."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from demo import preparation, summary
from demo.accounts import Accounts, count_points, read_accounts
from demo.chapters import planned
from demo.display import Display
from demo.environment import Environment
from demo.folder import Folder, Origin
from demo.labelled import Labelled
from demo.programs import kill_descendants
from demo.quality import by_scenario
from demo.stages import Say, Stages
from demo.story import Outcome, Story
from demo.summary import PATIENCE_SECONDS, Result
from demo.tally import percentile
from demo.traffic import Traffic
from demo.watcher import Watcher
from programs.interruption import Interruption
from settings import Settings

LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class RunOptions:
    """What a person may choose. record: a file for a picture of the view. chapters: none for all that there is time for."""

    rate: float
    duration_seconds: float
    """0: until Ctrl-C."""
    seed: int
    customers: int
    data: Path
    record: Path | None = None
    chapters: tuple[str, ...] = ()
    secured: bool = False
    """Kafka and InfluxDB talk TLS and ask for a login."""


class Demo:
    """One run. `began`: the monotonic time at which the demo was started."""

    def __init__(self, plan: RunOptions, console: Console, interruption: Interruption, began: float) -> None:
        self._plan = plan
        self._console = console
        self._interruption = interruption
        self._began = began
        self._stages = Stages(console)
        self._folder = Folder(plan.data.absolute())
        self._environment = Environment(self._folder, plan.secured)

    def run(self) -> bool:
        """Prints all there is to print; True where every condition is met. Raises DemoError and StackError."""
        with self._folder.held():
            try:
                self._environment.kill()
                result = self._live(self._prepare())
            finally:
                self._interruption.ignore()
                self._environment.kill()
                kill_descendants()
        failed = summary.failed_conditions(result)
        summary.print_summary(result, self._console)
        for line in failed:
            self._console.print(f"not met: {line}", style="bold red", markup=False, soft_wrap=True)
        self._console.print()
        print(summary.json_line(result), flush=True)
        return not failed

    def _prepare(self) -> Settings:
        environment = self._environment
        origin = Origin.of(self._plan.seed, self._plan.customers, preparation.HISTORY_DAYS)
        preparation.start_servers_and_train(environment, origin, self._stages)
        settings = environment.settings()
        environment.service.start(settings)
        environment.page.start(settings)
        preparation.start_job(environment, settings, self._stages)
        return settings

    def _live(self, settings: Settings) -> Result:
        """Traffic until its end, then all that has to hold afterwards; leaves nothing running."""
        since_ms = int(time.time() * 1000)
        with Watcher(settings) as watcher:
            view = Display(self._console, self._plan.duration_seconds, self._further(settings))
            with Story(self._environment, watcher) as story, view as display:
                traffic = Traffic(self._environment, self._plan.rate, story, watcher, display)
                seconds = traffic.play(planned(self._plan.duration_seconds, self._plan.chapters), self._interruption)
                if self._plan.record is not None:
                    display.save_picture(self._plan.record)
        page = self._environment.page.address if self._environment.page.running else None
        with self._stages.shown():
            accounts = self._account(settings)
            points = self._await_points(settings, accounts, since_ms)
            self._environment.stop_judging()  # so that it takes no processor from what is fitted now
            labelled = None
            if story.outcome.promoted is None:
                labelled = preparation.ask_with_labels(self._environment, watcher.tally.frauds, self._stages)
            with self._stages.stage("stopping"):
                self._environment.stack.stop()
        result = self._result((settings, seconds), watcher, (accounts, points), (story.outcome, labelled))
        return replace(result, page=page)

    def _account(self, settings: Settings) -> Accounts:
        with self._stages.stage("accounts") as say:
            say("an anti-join of transactions with scores and dead letters")
            accounts = read_accounts(settings)
            say(f"{accounts.generated:,} transactions, {len(accounts.missing):,} without a score or a dead letter")
        return accounts

    def _await_points(self, settings: Settings, accounts: Accounts, since_ms: int) -> int:
        with self._stages.stage("points") as say:
            points = self._points_in_time(settings, accounts, since_ms, say)
            say(f"{points:,} distinct points in {self._points_in}")
        return points

    def _points_in_time(self, settings: Settings, accounts: Accounts, since_ms: int, say: Say) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            points = count_points(settings, since_ms)
            if points >= accounts.scored or time.monotonic() > deadline:
                return points
            say(f"{points:,} of {accounts.scored:,}")
            time.sleep(LOOK_SECONDS)

    @property
    def _points_in(self) -> str:
        return "InfluxDB" if self._environment.stack.without_influxdb is None else str(self._folder.points)

    def _result(
        self,
        run: tuple[Settings, float],
        watcher: Watcher,
        counted: tuple[Accounts, int],
        learned: tuple[Outcome, Labelled | None],
    ) -> Result:
        (settings, seconds), (accounts, points), (outcome, labelled) = run, counted, learned
        tally, seen = watcher.tally, watcher.snapshot.first_alert
        return Result(
            rate=self._plan.rate,
            seconds=seconds,
            accounts=accounts,
            points=points,
            points_in=self._points_in,
            latency_ms_p50=percentile(tally.latencies_ms, 0.50),
            latency_ms_p99=percentile(tally.latencies_ms, 0.99),
            early_alerts=len(tally.early_alerts),
            early_latency_ms_p50=percentile(tally.early_latencies_ms, 0.50),
            early_latency_ms_p99=percentile(tally.early_latencies_ms, 0.99),
            quality=tally.quality,
            scenarios=by_scenario(tally.campaigns),
            parts=tally.qualities(),
            outcome=outcome,
            labelled=labelled,
            model_version=tally.model_version,
            first_alert_seconds=None if seen is None else seen - self._began,
            further=self._further_after(),
            logs=settings.log_dir,
        )

    def _further(self, settings: Settings) -> Sequence[tuple[str, str]]:
        points = "points", str(self._folder.points)
        if self._environment.stack.without_influxdb is None:
            points = "InfluxDB", f"{settings.influxdb_url}/query?db=scoreline&q=SELECT+*+FROM+alert"
        logs = f"{_short(self._folder.logs)} · Grafana: make up (needs Docker)"
        page = ("page", f"{self._environment.page.address} (the alerts, for an analyst)")
        return [page, ("service", f"{self._environment.service.address}/docs"), points, ("logs", logs)]

    def _further_after(self) -> Sequence[tuple[str, str]]:
        start_again = f"{_PYTHON} -m stack up --data {_short(self._folder.root)}"
        return [
            ("logs", _short(self._folder.logs)),
            ("models", self._list_models()),
            ("servers", f"{start_again} (and later down): this run's data again"),
        ]

    def _list_models(self) -> str:
        return f"{_PYTHON} -m stack run --data {_short(self._folder.root)} {_PYTHON} -m ml models"


def _short(path: Path) -> str:
    """A path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


_PYTHON: Final = _short(Path(sys.executable))
