"""What a query can be helped past is a cause that is known."""

from jobs.recoveries import RECOVERIES
from jobs.runtime.cause_texts import KNOWN


def test_each_recovery_is_for_a_cause_that_is_known() -> None:
    assert RECOVERIES.keys() <= {known.name for known in KNOWN}
