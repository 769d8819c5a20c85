"""What the loop's run starts: broker, InfluxDB, job, service and watcher; and the settings that they share."""

import threading
import time
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from demo.errors import DemoError
from demo.programs import Program
from messaging.topics import create_topics
from programs.output import first_cause
from settings import Settings
from stack.local import Stack
from stack.server import free_port
from watch.journal import Folder

PARTITIONS: Final = 2
_START_SECONDS: Final = 240.0
_JOB_PATIENCE_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 20.0
_PROGRAMS: Final = ("train", "job", "service", "watcher")

POLICY: Final = """\
every_seconds: 2
cooldown_days: 1
retry_minutes: 0.2
retrain: {after_alarm_days: 10, age_days: null, window_days: 19, least_frauds: 60, again_after_days: 2}
trial: {records: 5000, days: 5, gate_again_days: 1, most_days: 21}
promote: {ramp: [0.1, 0.5], records: 100, days: 0.25}
rollback: {for_days: 30}
"""
"""Days of event time, as in a policy for a bank; the looks follow one another faster, since the days do."""


class Servers:
    """Everything of one run, in one folder."""

    def __init__(self, folder: Path, policy: str = POLICY, publish: bool = True) -> None:
        self.folder = folder
        self.publish = publish
        self.stack = Stack(folder / "stack")
        self.history = folder / "history"
        self.watching = Folder(folder / "watch")
        self.policy = policy
        self._policy_file = folder / "policy.yaml"
        self.programs = {name: Program(name, folder, folder / f"{name}.log") for name in _PROGRAMS}

    def settings(self) -> Settings:
        """The settings of all parts. Without InfluxDB, publish writes its points to a file."""
        environment = self.stack.environment()
        own: dict[str, object] = {name.lower(): value for name, value in environment.items()}
        return Settings.from_command_line([]).model_copy(
            update={
                **own,
                "influxdb_token": SecretStr(environment.get("INFLUXDB_TOKEN", "")),
                "mlflow_tracking_uri": self.stack.mlflow.database_uri,
                "initial_state": str(self.folder / "state"),
                "checkpoint": str(self.folder / "checkpoint"),
                "starting_offsets": "earliest",
                "log_dir": self.folder / "logs",
                "lake": str(self.folder / "lake"),
                "lake_interval_seconds": 8.0,
                "publish": self.publish,
                "points_file": self.folder / "points.lp" if self.stack.without_influxdb else None,
                "metrics_port": 0,
            }
        )

    def start(self) -> None:
        """The servers and the topics. Raises StackError."""
        (self.folder / "lake").mkdir(exist_ok=True)  # archive fills it; the watcher may look before
        if self.publish:
            self.stack.start()
        else:
            self.stack.mlflow.folder.mkdir(parents=True, exist_ok=True)  # for its SQLite file
            self.stack.kafka.start()
        create_topics(self.settings(), PARTITIONS)

    def train(self, *more: str) -> None:
        """The first champion, from the history with its labels. more: flags. Raises DemoError where it fails."""
        command = ["ml", "train", str(self.history), "--detector", "xgboost", "--promote", "--no-report"]
        program = self.programs["train"]
        program.start([*command, "--state-out", str(self.folder / "state"), *more], self.settings().environment())
        program.wait(threading.Event())

    def start_job(self) -> None:
        """The detection job by spark-submit, until its first micro-batch is committed. Raises DemoError."""
        job = self.programs["job"]
        job.start(["jobs", "submit", "--conf", "spark.ui.enabled=false"], self.settings().environment())
        deadline = time.monotonic() + _START_SECONDS
        while not (self.folder / "checkpoint" / "detect" / "commits" / "0").exists():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"the job did not begin within {_START_SECONDS:.0f} s: {first_cause(job.output)}")
            time.sleep(0.2)

    def start_service(self) -> None:
        """`scoreline serve` beside the job: it judges the same traffic by the same aliases. Returns at once."""
        own: dict[str, object] = {
            "initial_state": self.folder / "state" / "customers.parquet",
            "serve_port": free_port(),
            "serve_state": self.folder / "service-state",
        }
        self.programs["service"].start(["serving"], self.settings().model_copy(update=own).environment())

    def start_watcher(self) -> None:
        """`scoreline watch`: from here on nobody does anything by hand."""
        self._policy_file.write_text(self.policy)
        command = [
            "watch",
            "--policy",
            str(self._policy_file),
            "--folder",
            str(self.watching.path),
            "--drift-seconds",
            "10",
        ]
        self.programs["watcher"].start(command, self.settings().environment())

    def check(self) -> None:
        """Raises DemoError where the job, the service or the watcher has failed."""
        for name in ("job", "service", "watcher"):
            self.programs[name].check_ended_well()

    def stop_judging(self) -> None:
        """End watcher, service and job in good order."""
        self.programs["watcher"].end(_PATIENCE_SECONDS)
        self.programs["service"].end(_PATIENCE_SECONDS)
        self.programs["job"].end(_JOB_PATIENCE_SECONDS)

    def kill(self) -> None:
        """End whatever still runs, at once."""
        for program in self.programs.values():
            program.kill()
        for server in reversed(self.stack.servers):
            server.kill()
