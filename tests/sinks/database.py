"""A database on the real InfluxDB: what a sink writes to, and how a test reads it back."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from sinks.influxdb import InfluxDBSink
from stack.influxdb import InfluxDB


@dataclass(frozen=True)
class Database:
    """A database of a running server."""

    server: InfluxDB
    name: str

    def sink(self, retention_policy: str = "autogen") -> InfluxDBSink:
        return InfluxDBSink(self.server.url, f"{self.name}/{retention_policy}", org="scoreline")

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The rows that an InfluxQL statement finds, times in nanoseconds."""
        query = urlencode({"q": statement, "db": self.name, "epoch": "ns"})
        result = urllib3.request("POST", f"{self.server.url}/query?{query}").json()["results"][0]
        assert "error" not in result, result
        return [
            dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            for series in result.get("series", [])
            for values in series["values"]
        ]
