"""What is done where a query fails by a cause that it can be helped past."""

from collections.abc import Mapping
from typing import Final

from jobs.data_loss import data_loss
from jobs.impossible_timestamps import go_round
from jobs.runtime.supervisor import Recovery

RECOVERIES: Final[Mapping[str, Recovery]] = {"data loss": data_loss, "Kafka timestamp": go_round}
"""By the name of the known cause."""
