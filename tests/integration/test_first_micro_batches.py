"""The real application, killed again and again in its first micro-batches, with and without a past of its customers."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ml.features.customers import CustomerTable
from settings import Settings
from tests.integration.application import Application
from tests.integration.traffic import events_of, messages, scores, send, traffic
from tests.support.kafka import count_records

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

Start = Callable[..., Application]


def newer(folder: Path) -> Callable[[], bool]:
    """Whether there are files below a folder that are not there now."""
    before = {path for path in folder.rglob("*") if path.is_file()}
    return lambda: any(path not in before for path in folder.rglob("*") if path.is_file())


def moments(settings: Settings) -> dict[str, Callable[[], Callable[[], bool]]]:
    """By name, what begins to wait for a moment of the first micro-batches: its result says whether it has come."""
    detect, ledger = Path(settings.checkpoint) / "detect", Path(settings.checkpoint) / "ledger"

    def sent() -> bool:
        return count_records(settings.kafka_bootstrap_servers, settings.scores_topic) > 0

    return {
        "planned": lambda: (detect / "offsets" / "0").exists,
        "in the ledger": lambda: (ledger / "0.json").exists,
        "its state is being written": lambda: newer(detect / "state"),
        "its scores are being sent": lambda: sent,
        "committed": lambda: (detect / "commits" / "0").exists,
        "the second is planned": lambda: (detect / "offsets" / "1").exists,
        "the second one's state is being written": lambda: newer(detect / "state"),
    }


@pytest.mark.parametrize("with_past", [True, False], ids=["with a past", "all customers new"])
def test_kills_at_each_step_of_the_first_micro_batches_change_no_judgement(
    settings: Settings, start: Start, tmp_path: Path, *, with_past: bool
) -> None:
    """JVM and the driver's Python process in turn, at seven moments of one checkpoint's first micro-batches.

    Without a past, at the first, the fourth and the seventh of them alone: there is less that could be taken in twice.
    """
    whole = traffic(2_000, customers=100, seed=81)
    past, live = whole[:1_000], whole[1_000:]
    table = CustomerTable()
    if with_past:
        table.fold(pa.array([t.customer_id for t in past]), events_of(past))
        table.write(tmp_path / "past" / "customers.parquet")
        settings = settings.model_copy(update={"initial_state": str(tmp_path / "past" / "customers.parquet")})
    settings = settings.model_copy(update={"max_offsets_per_trigger": 200, "publish": False})
    send(settings, messages(live))
    for number, (name, begin) in list(enumerate(moments(settings).items()))[:: 1 if with_past else 3]:
        reached = begin()
        application = start(settings)
        application.wait_until(reached, name)
        application.kill_python() if number % 2 else application.kill()
    last = start(settings)
    last.wait_until(
        lambda: count_records(settings.kafka_bootstrap_servers, settings.scores_topic) >= 1_000, "a score for each"
    )
    last.wait_until(lambda: len(scores(settings)) == 1_000, "a score for each")
    assert last.stop() == 0
    rows = table.fold(pa.array([t.customer_id for t in live]), events_of(live)).features
    expected = dict(zip([t.transaction_id for t in live], rows.tolist(), strict=True))
    assert {s["transaction_id"]: s["features"] for s in scores(settings).values()} == expected
