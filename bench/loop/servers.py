"""What the loop's run starts: a broker, the job with its archive, and the watcher; and the settings that they share."""

import threading
from pathlib import Path
from typing import Final

from demo.programs import Program
from messaging.topics import create_topics
from settings import Settings
from stack.kafka import Kafka
from watch.journal import Folder

PARTITIONS: Final = 2
_JOB_PATIENCE_SECONDS: Final = 60.0
_WATCHER_PATIENCE_SECONDS: Final = 20.0

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

    def __init__(self, folder: Path, policy: str = POLICY) -> None:
        self.folder = folder
        self.kafka = Kafka(folder / "kafka", None)
        self.history = folder / "history"
        self.watching = Folder(folder / "watch")
        self._policy = folder / "policy.yaml"
        self._policy_text = policy
        self.programs = {name: Program(name, folder, folder / f"{name}.log") for name in ("train", "job", "watcher")}

    def settings(self) -> Settings:
        """The settings of all parts."""
        return Settings.from_command_line([]).model_copy(
            update={
                "kafka_bootstrap_servers": self.kafka.bootstrap_servers,
                "mlflow_tracking_uri": f"sqlite:///{self.folder / 'mlflow.db'}",
                "initial_state": str(self.folder / "state"),
                "checkpoint": str(self.folder / "checkpoint"),
                "log_dir": self.folder / "logs",
                "lake": str(self.folder / "lake"),
                "lake_interval_seconds": 5.0,
                "publish": False,
            }
        )

    def start(self) -> None:
        """The broker and its topics."""
        self.kafka.start()
        create_topics(self.settings(), PARTITIONS)

    def train(self) -> None:
        """The first champion, from the history with its labels. Raises DemoError where it fails."""
        command = ["ml", "train", str(self.history), "--detector", "xgboost", "--promote", "--no-report"]
        program = self.programs["train"]
        program.start([*command, "--state-out", str(self.folder / "state")], self.settings().environment())
        program.wait(threading.Event())

    def start_job(self) -> None:
        """The detection job with the archive, by spark-submit."""
        self.programs["job"].start(
            ["jobs", "submit", "--conf", "spark.ui.enabled=false"], self.settings().environment()
        )

    def start_watcher(self) -> None:
        """`scoreline watch`, from the moment on when the lake is there."""
        self._policy.write_text(self._policy_text)
        command = ["watch", "--policy", str(self._policy), "--folder", str(self.watching.path), "--drift-seconds", "3"]
        self.programs["watcher"].start(command, self.settings().environment())

    def check(self) -> None:
        """Raises DemoError where the job or the watcher has failed."""
        for name in ("job", "watcher"):
            self.programs[name].check_ended_well()

    def stop_judging(self) -> None:
        """End watcher and job in good order."""
        self.programs["watcher"].end(_WATCHER_PATIENCE_SECONDS)
        self.programs["job"].end(_JOB_PATIENCE_SECONDS)

    def kill(self) -> None:
        """End whatever still runs, at once."""
        for program in self.programs.values():
            program.kill()
        self.kafka.kill()
