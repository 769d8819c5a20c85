"""The systems that are measured: Scoreline's job, and the peers that do the same work."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.errors import BenchError
from bench.inputs import Input
from bench.programs import PYTHON, ROOT
from settings import Settings

PEERS_FOLDER: Final = ROOT / "bench" / "peers"
QUIX_PYTHON: Final = ROOT / ".venv-quix" / "bin" / "python"


class System(Protocol):
    """Something that reads transactions from Kafka and writes scores and alerts to it until SIGTERM."""

    @property
    def name(self) -> str:
        """What the reports call it."""

    @property
    def publishes(self) -> bool:
        """Whether it writes `throughput` points, which show how far InfluxDB can be read."""

    def command(self, settings: Settings, made: Input) -> list[str]:
        """The command line that runs it, in the environment of these settings."""


@dataclass(frozen=True)
class Scoreline:
    """`python -m jobs submit`. flags: for it and for the job, on top of the settings."""

    flags: tuple[str, ...] = ()
    publishes: bool = True
    name: str = "Scoreline"

    def command(self, settings: Settings, made: Input) -> list[str]:
        return [*PYTHON, "jobs", "submit", "--conf", "spark.ui.enabled=false", *self.flags]


@dataclass(frozen=True)
class Peer:
    """A script that gets all addresses by flags."""

    name: str
    script: str
    python: Path = Path(sys.executable)
    publishes: bool = False

    def command(self, settings: Settings, made: Input) -> list[str]:
        """Raises BenchError where its Python is not installed."""
        if not self.python.exists():
            raise BenchError(
                f"{self.name} needs the environment of {self.python}: make it (make .venv-quix/installed.lock)"
            )
        flags = {
            "bootstrap-servers": settings.kafka_bootstrap_servers,
            "transactions": settings.transactions_topic,
            "scores": settings.scores_topic,
            "alerts": settings.alerts_topic,
            "influxdb-url": settings.influxdb_url,
            "influxdb-bucket": settings.influxdb_bucket,
            "influxdb-token": settings.influxdb_token.get_secret_value(),
            "model": str(made.model),
            "checkpoint": settings.checkpoint,
        }
        given = [part for name, value in flags.items() for part in (f"--{name}", value)]
        return [str(self.python), str(PEERS_FOLDER / self.script), *given]


TEXTBOOK: Final = Peer("textbook PySpark", "textbook_pyspark.py")
PEERS: Final = (
    TEXTBOOK,
    Peer("one Python process", "plain_python.py"),
    Peer("Quix Streams", "quix_streams.py", QUIX_PYTHON),
)
