"""All that the demo starts, so that it can all be ended."""

import os
from typing import Any, Final

from demo.errors import ended_badly
from demo.folder import Folder
from demo.programs import Program
from demo.service import Page, Service
from settings import Settings
from stack.local import Stack, influxdb_elsewhere

JOB_PATIENCE_SECONDS: Final = 60.0


class Environment:
    """The servers and the processes of one run."""

    def __init__(self, folder: Folder, secured: bool = False) -> None:
        """secured: Kafka and InfluxDB talk TLS and ask for a login."""
        self.folder: Final = folder
        self.stack: Final = Stack(folder.root, elsewhere=influxdb_elsewhere(os.environ), secured=secured)
        self.history: Final = self._program("history")
        self.training: Final = self._program("training")
        self.training_with_labels: Final = self._program("training_with_labels")
        self.job: Final = self._program("job")
        self.generator: Final = self._program("generator")
        self._serving: Final = self._program("service")
        self.service: Final = Service(self._serving, folder)
        self._paging: Final = self._program("page")
        self.page: Final = Page(self._paging, folder)

    def _program(self, name: str) -> Program:
        return Program(name, self.folder.programs, self.folder.logs / f"{name}.console.log")

    @property
    def programs(self) -> tuple[Program, ...]:
        return (
            self.generator,
            self.job,
            self._serving,
            self._paging,
            self.training_with_labels,
            self.training,
            self.history,
        )

    def settings(self) -> Settings:
        """The settings of the job and the generator: the environment's, except where the demo has its own."""
        own: Any = {name.lower(): value for name, value in self.stack.environment().items()}
        servers = Settings(**own)
        own = {name: getattr(servers, name) for name in own}
        return Settings.from_command_line([]).model_copy(
            update={
                **own,
                "mlflow_tracking_uri": self.stack.mlflow.database_uri,
                "checkpoint": str(self.folder.checkpoint),
                "initial_state": self.folder.state,
                "starting_offsets": "earliest",
                "publish": True,
                "publish_points": "all",
                "points_file": self.folder.points if self.stack.without_influxdb else None,
                "log_dir": self.folder.logs,
            }
        )

    def check(self) -> None:
        """Raises DemoError where the job or a server has ended by itself."""
        if not self.job.running:
            raise ended_badly("The job has ended", self.job.log, self.job.exit_status)
        for server in self.stack.servers[: 1 if self.stack.without_influxdb else None]:
            if server is not self.stack.mlflow and server.pid is None:
                raise ended_badly(f"{server.name} has ended", server.log)

    def stop_judging(self) -> None:
        """SIGTERM to service and job: the running micro-batches are finished."""
        self.page.stop()
        self.service.stop()
        self.job.end(JOB_PATIENCE_SECONDS)

    def kill(self) -> None:
        """Ends whatever still runs, at once; also what an earlier demo in this folder has left behind."""
        for program in self.programs:
            program.kill()
        for server in self.stack.servers:
            server.kill()
