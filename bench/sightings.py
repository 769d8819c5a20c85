"""Watches from outside how far InfluxDB can be read, while publish writes to it."""

import time
from threading import Event
from typing import Any, Final

import urllib3

from bench.figures import Published
from programs.background import Background

LOOK_SECONDS: Final = 0.1


class Sightings(Background):
    """Asks for the `throughput` points, of which publish writes one after all the scores of a micro-batch.

    Each says how many scores the micro-batch had and, by its own time, until when they had been written to their topic.
    """

    def __init__(self, url: str, database: str) -> None:
        super().__init__()
        self.seen: list[Published] = []
        self._url = f"{url}/query"
        self._database = database
        self._http = urllib3.PoolManager(retries=False, timeout=10)
        self._last_ns = 0

    @property
    def scores(self) -> int:
        """How many can be read by now."""
        return self.seen[-1].scores if self.seen else 0

    def count_points(self) -> int:
        """Distinct points of single scores that InfluxDB has."""
        rows = self._query("SELECT count(amount) FROM transaction_score")
        return rows[0][1] if rows else 0

    def work(self, stopped: Event) -> None:
        while not stopped.is_set():
            self._look()
            stopped.wait(LOOK_SECONDS)

    def _look(self) -> None:
        rows = self._query(f"SELECT scored FROM throughput WHERE time > {self._last_ns}")
        if rows:
            now = int(time.time() * 1000)
            self._last_ns = rows[-1][0]
            reached = max(self._last_ns // 1_000_000, self.seen[-1].scored_until_ms if self.seen else 0)
            self.seen.append(Published(now, self.scores + sum(int(scored) for _, scored in rows), reached))

    def _query(self, query: str) -> list[list[Any]]:
        fields = {"db": self._database, "q": query, "epoch": "ns"}
        answer = self._http.request("GET", self._url, fields=fields).json()
        series = answer["results"][0].get("series", [])
        rows: list[list[Any]] = series[0]["values"] if series else []
        return rows
