"""What a healthy application reports on its console."""

from pathlib import Path
from typing import Final

import pytest

from jobs.runtime.console import ready
from jobs.status import QUERIES
from settings import Settings

SETTINGS: Final = Settings(
    **{f"{topic}_topic": f"the-{topic}" for topic in ("transactions", "scores", "alerts", "invalid", "thresholds")},
    **{f"{topic}_topic": f"the-{topic}" for topic in ("profiles", "labels")},
    lake="s3a://bank/lake",
    influxdb_url="http://panels",
    log_dir=Path("the-logs"),
)
TOUCHES: Final = {
    "detect": {"the-transactions", "the-scores", "the-alerts", "the-invalid", "model scoreline 7"},
    "publish": {"http://panels"},
    "thresholds": {"the-scores", "the-thresholds"},
    "profiles": {"the-scores", "the-labels", "the-profiles"},
    "archive": {"the-scores", "the-labels", "s3a://bank/lake"},
}


@pytest.mark.parametrize("query", QUERIES)
def test_the_line_that_it_is_ready_says_what_each_query_reads_and_writes_and_nothing_else(query: str) -> None:
    line = ready(SETTINGS, [query], {"model": 7}, 4711)
    every = set().union(*TOUCHES.values())
    assert {one for one in every if one in line} == TOUCHES[query]
    assert all(part in line for part in ("the-logs", "kill 4711", "jobs status"))
    assert "\n" not in line
