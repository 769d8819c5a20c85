"""Copies what the lake gained to the warehouse, beside the archive: what is wrong there holds up nothing else."""

import logging
from typing import Final

from lake.place import Place
from lake.warehouse import export
from messaging.poller import Poller

_log: Final = logging.getLogger(__name__)


class Warehousing(Poller):
    """Copies at intervals; what was missed is copied once the database answers again."""

    def __init__(self, place: Place, address: str, poll_seconds: float) -> None:
        super().__init__("the warehouse", poll_seconds)
        self._place = place
        self._address = address

    def look(self) -> None:
        """Copy what is new. Raises psycopg.Error, and what reading the lake raises."""
        copied = export(self._place, self._address)
        if copied:
            _log.info("copied to the warehouse: %s", ", ".join(f"{count} {view}" for view, count in copied.items()))

    @property
    def in_use(self) -> str:
        """What has the rows meanwhile."""
        return "the lake alone"
