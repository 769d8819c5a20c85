"""The scorecard of what the streaming job wrote on `scores`, against that of the same model asked directly."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa

from messaging.config import KafkaConfig
from ml.commands.topic_scores import read_scores
from ml.dataset.history import History
from ml.dataset.split import Split
from ml.evaluation.contest import StreamScores, Terms, evaluate
from ml.features import DAY
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.model import Model
from ml.schema import TRANSACTION_FIELDS, Transaction
from settings import Settings
from tests.integration.traffic import messages, send
from tests.ml.evaluation_cases import write_history

TERMS = Terms(budget=0.02, label_delay_days=5.0, seed=0)


def past_and_test(folder: Path) -> tuple[CustomerTable, list[Transaction]]:
    """The customers folded up to the test part of a history, and the transactions of that part."""
    table = pa.concat_tables(History.open(folder).pieces())
    times = table["event_time"].cast(pa.int64()).to_numpy()
    start = int(
        (times < Split.from_span(int(times[0]), int(times[-1]), TERMS.label_delay_days or 0.0).test_start).sum()
    )
    customers, past = CustomerTable(), table.slice(0, start)
    customers.fold(past["customer_id"], events_from_arrow(past))
    rows = table.slice(start).select(TRANSACTION_FIELDS).to_pylist()
    return customers, [Transaction(**row) for row in rows]


def test_the_jobs_own_scores_give_the_same_figures_to_the_last_digit(
    settings: Settings, models: list[Model], detect_all: Callable[..., None], tmp_path: Path
) -> None:
    write_history(tmp_path / "history", delay=5 * DAY, days=24)
    past, test = past_and_test(tmp_path / "history")
    past.write(tmp_path / "state" / "customers.parquet")
    send(settings, messages(test))
    detect_all(settings.model_copy(update={"initial_state": tmp_path / "state" / "customers.parquet"}))

    scored = read_scores(KafkaConfig.from_settings(settings), settings.scores_topic)
    streamed = evaluate(tmp_path / "history", StreamScores(settings.scores_topic, scored), TERMS)
    asked = evaluate(tmp_path / "history", models[0], TERMS)
    (of_stream,), (of_model,) = streamed.values(), asked.values()
    assert not isinstance(of_model, str)
    assert of_model.transactions == len(test)
    assert 0 < (of_model.figures["alert_share"].value or 0.0) < 1
    assert msgspec.to_builtins(of_stream) == msgspec.to_builtins(of_model)
