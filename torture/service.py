"""The service beside the job: kept running like it, called by a payment switch, and accounted for afterwards."""

import sys
from pathlib import Path
from typing import Final

from ml.registry.model_store import ModelStore
from stack.server import free_port
from torture.application import Application
from torture.caller import Called, Caller
from torture.early import EarlyAccount, EarlyFigures, lines
from torture.reference import Expected
from torture.servers import Servers
from torture.topics import records

SERVE: Final = (sys.executable, "-m", "serving")


class Replica:
    """`scoreline serve`, on the job's settings with folders of its own, and its caller; nothing where it is not wanted."""

    def __init__(self, servers: Servers, data: Path, registry: ModelStore, seed: int, wanted: bool) -> None:
        self._servers, self._registry, self._wanted = servers, registry, wanted
        port, self._answers = free_port(), data / "answers.jsonl"
        own = {"serve_port": port, "serve_state": data / "service" / "state", "log_dir": data / "service" / "logs"}
        self.application = Application(servers.settings.model_copy(update=own), SERVE)
        self.figures = EarlyFigures()
        self._troubles: list[str] = []
        self._caller = Caller(f"http://127.0.0.1:{port}", self._answers, seed)

    def start(self) -> None:
        """The service; its caller begins with `call`."""
        if self._wanted:
            self.application.start()

    def call(self) -> None:
        """Begin to post payments."""
        if self._wanted:
            self._caller.start()

    def quiet(self) -> None:
        """End the calls, so that the log comes to its end."""
        self._caller.ended.set()
        if self._caller.ident is not None:
            self._caller.join(30)

    def stop(self, seconds: float) -> list[str]:
        """SIGTERM, and what was left behind so long afterwards, which is killed."""
        self.quiet()
        if self.application.starts and self.application.stop(seconds) != 0:
            self._troubles.append("the service did not end in order at SIGTERM")
        return self.application.sweep()

    @property
    def called(self) -> Called:
        return self._caller.called

    @property
    def troubles(self) -> list[str]:
        """What went wrong, and examples of answers that must not be."""
        return self._troubles + self._caller.examples

    def account(self, expected: Expected) -> None:
        """Compare what it alerted and answered with the reference: `figures`."""
        if not self._wanted:
            return
        settings, account = self._servers.direct, EarlyAccount(expected, self._registry.load)
        for messages in records(settings.kafka_bootstrap_servers, settings.early_alerts_topic):
            account.take_alerts(message.value() or b"" for message in messages)
        account.take_answers(lines(self._answers.read_bytes()) if self._answers.exists() else [])
        self.figures = account.figures
