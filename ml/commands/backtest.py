"""Says what a version would have flagged in days that are past."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import numpy as np
import typer

from messaging.config import KafkaConfig
from ml import console
from ml.arrays import Flags
from ml.commands import common
from ml.commands.topic_scores import read_scores
from ml.dataset.history import HistoryError
from ml.evaluation import backtest as result
from ml.evaluation.stretch import Stretch, read_stretch
from ml.features.events import milliseconds
from ml.model import Model
from ml.options import ExtrasFile
from settings import Settings


def backtest_command(
    folder: Annotated[str, typer.Argument(help="History: transactions, and truth.parquet or labels.parquet.")],
    model: Annotated[int, typer.Option(min=1, help="The version.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, show_default="its own", help="Scores above it are flagged.")
    ] = None,
    begin: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], show_default="the first day", help="First day, UTC."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], show_default="the last day", help="Last day, UTC.")
    ] = None,
    scores: Annotated[
        str | None, typer.Option(show_default="the champion judges too", help="Topic of what was flagged then.")
    ] = None,
    extras_file: ExtrasFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all as one JSON object.")] = False,
) -> None:
    """Say what a version would have flagged: alerts a day, precision, recall, and what it shares with what was flagged."""
    registry, declared, place = common.registry(), common.declared(extras_file), common.local(folder, "FOLDER")
    extras = [extra.name for extra in declared]
    chosen = registry.load(model, extras)
    champion = registry.load(registry.champion(), extras) if scores is None else None
    first, last = _begin_of(begin), _begin_of(end if end is None else end + timedelta(days=1))
    if first is not None and last is not None and first >= last:
        raise HistoryError("--from is the first day and --to the last one, but --from is later")
    models = [chosen] if champion is None else [chosen, champion]
    with common.bars() as bars:
        stretch = read_stretch(place, models, first, last, rates=common.rates(), declared=declared, progress=bars)
        was = _was(stretch, champion, scores)
    above = chosen.threshold if threshold is None else threshold
    found = result.backtest(stretch, model, above, stretch.scores(chosen) > above, was)
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    console.show_table(common.out, result.HEADER, result.rows(found), f"then: {found.compared_with}")
    common.out.print(result.summary(found))


def _begin_of(day: datetime | None) -> int | None:
    return None if day is None else milliseconds(day.replace(tzinfo=UTC))


def _was(stretch: Stretch, champion: Model | None, topic: str | None) -> tuple[str, Flags]:
    """What was flagged: by what the job wrote, or by what the champion says of the same days."""
    if champion is not None:
        return f"the champion, version {champion.version}", champion.is_anomaly(stretch.scores(champion))
    assert topic is not None
    scored = read_scores(KafkaConfig.from_settings(Settings.from_command_line([])), topic)
    known = (scored.get(transaction) for transaction in stretch.transactions.transaction.tolist())
    return f"the topic {topic}", np.array([score is not None and score.is_anomaly for score in known], np.bool_)
