"""The sink that the settings choose."""

from pathlib import Path
from typing import Protocol

from sinks.influxdb import InfluxDBSink
from sinks.points_file import PointsFileSink
from sinks.sink import Sink


class Secret(Protocol):
    """Text that is masked where it is printed."""

    def get_secret_value(self) -> str: ...


class PointSettings(Protocol):
    """The settings that say where points go; `settings.Settings` has them."""

    @property
    def points_file(self) -> Path | None: ...
    @property
    def influxdb_url(self) -> str: ...
    @property
    def influxdb_bucket(self) -> str: ...
    @property
    def influxdb_org(self) -> str: ...
    @property
    def influxdb_token(self) -> Secret: ...
    @property
    def influxdb_ca(self) -> Path | None: ...


def sink_of(settings: PointSettings) -> Sink:
    """Where the settings want the points: a file if they name one, else InfluxDB."""
    if settings.points_file is not None:
        return PointsFileSink(settings.points_file.absolute())
    return InfluxDBSink(
        url=settings.influxdb_url,
        bucket=settings.influxdb_bucket,
        org=settings.influxdb_org,
        token=settings.influxdb_token.get_secret_value(),
        ca=settings.influxdb_ca,
    )
