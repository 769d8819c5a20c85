"""The lake's commands that watch live traffic: `quality`, `review` and `drift`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from lake import dead_letters, live_drift, quality_report
from lake.common import Where, errors, maybe_utc, place_of
from lake.drift_report import drift_points, drift_rows
from lake.live_quality import live_quality
from lake.place import Place
from lake.prometheus import write_drift, write_quality
from lake.review import to_review
from messaging.config import KafkaConfig
from ml.commands import common
from ml.console import show_table
from ml.drift.alarms import Look, look
from ml.drift.counts import block_of
from ml.drift.policy import DriftPolicy
from ml.drift.reference import DriftReference
from ml.features.declared import names
from ml.quality.reserve import MOST
from settings import Settings
from sinks.chosen import sink_of

ALARM_STATUS: Final = 3
"""The exit status of `drift` while an alarm lasts; 1 is an error."""

_out: Final = Console(highlight=False, soft_wrap=True)

Json = Annotated[Path | None, typer.Option("--json", help="Write every figure to this JSON file.")]
ToInfluxDB = Annotated[
    bool, typer.Option("--influxdb", help="Write points too: to InfluxDB, or to the file of SCORELINE_POINTS_FILE.")
]
ToPrometheus = Annotated[
    Path | None,
    typer.Option("--prometheus", help="Write a file for node-exporter's textfile collector, as in quality.prom."),
]
ReviewShare = Annotated[
    float | None,
    typer.Option(min=0, max=MOST, show_default="SCORELINE_REVIEW_SHARE", help="Share of non-alerts that is reviewed."),
]


def quality(
    lake: Where = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="What came later does not count (UTC).", show_default="the newest transaction"),
    ] = None,
    review_share: ReviewShare = None,
    days: Annotated[int, typer.Option(min=1, help="Days that the table shows.")] = 30,
    json: Json = None,
    influxdb: ToInfluxDB = False,
    prometheus: ToPrometheus = None,
) -> None:
    """Show how good live judgements are, by model and day, with how ripe each day's labels are."""
    with errors():
        settings = Settings.from_command_line([])
        share = settings.review_share if review_share is None else review_share
        rows = live_quality(place_of(lake), share, maybe_utc(as_of))
        _write(json, rows)
        if influxdb:
            _send(settings, quality_report.quality_points(rows))
        if prometheus is not None:
            write_quality(prometheus, rows)
    shown: dict[tuple[str, int], int] = {}
    chosen = []
    for row in rows:
        model = row.model_name, row.model_version
        shown[model] = shown.get(model, -1) + 1
        if shown[model] <= days:
            chosen.append(row)
    caption = "intervals: 95 %; ripe: share of the frauds that is known by now"
    show_table(_out, quality_report.COLUMNS, quality_report.table_rows(chosen), caption)


def review(
    since: Annotated[datetime, typer.Option("--from", help="The first event time, UTC.")],
    until: Annotated[datetime, typer.Option("--to", help="The first event time that is left out, UTC.")],
    lake: Where = None,
    review_share: ReviewShare = None,
) -> None:
    """List the reserve: what analysts should look at though it was not alerted, chosen at random."""
    with errors():
        settings = Settings.from_command_line([])
        share = settings.review_share if review_share is None else review_share
        header, rows = to_review(place_of(lake), share, since.replace(tzinfo=UTC), until.replace(tzinfo=UTC))
    show_table(_out, header, rows, "")


def drift(
    lake: Where = None,
    model: Annotated[
        int | None, typer.Option(min=1, show_default="the champion", help="A registered version, whose scores count.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", show_default="3 days before", help="Windows end after then (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", show_default="the newest", help="The last window's end (UTC).")
    ] = None,
    policy: Annotated[Path | None, typer.Option(show_default="the built-in one", help="YAML file.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all comparisons, not only what drifts.")] = False,
    dead: Annotated[
        bool, typer.Option("--dead-letters", help="Compare dead letters by reason too, from Kafka.")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count all rows again, not only what came since the last call.")
    ] = False,
    json: Json = None,
    influxdb: ToInfluxDB = False,
    prometheus: ToPrometheus = None,
) -> None:
    """Compare live traffic with training's and with last week's. Exit status 3 while an alarm lasts."""
    with errors():
        place, read = place_of(lake), DriftPolicy.read(policy)
        registry = common.registry()
        version = registry.champion() if model is None else model
        loaded = registry.load(version, names(common.declared(None)))
        reference = DriftReference.of_model(loaded)
        end = maybe_utc(until) or live_drift.newest(place) or datetime.now(UTC)
        begin = maybe_utc(since) or end - timedelta(days=3)
        first = live_drift.needed_since(begin, read)
        counts = live_drift.counts(place, loaded, reference.bins, first, end, recount)
        found = look(counts, reference, read, block_of(begin), block_of(end))
        found = _with_dead_letters(place, found, read) if dead else found
        _write(json, {"model_name": registry.name, "model_version": version, "from": begin, "to": end, "look": found})
        if influxdb:
            _send(Settings.from_command_line([]), drift_points(found, registry.name, version))
        if prometheus is not None:
            write_drift(prometheus, found, registry.name, version)
    show_table(_out, *drift_rows(found, every), "")
    transactions, lasting = int(counts.rows.sum()), len(found.lasting)
    _out.print(
        f"version {version} of {registry.name}: {transactions:,} scores from {first:%Y-%m-%d %H:%M} to "
        f"{end:%Y-%m-%d %H:%M}, {lasting or 'no'} alarm{'s' * (lasting != 1)}"
    )
    if lasting:
        raise typer.Exit(ALARM_STATUS)


def _with_dead_letters(place: Place, found: Look, policy: DriftPolicy) -> Look:
    now, *scores = live_drift.scored(place)
    settings = Settings.from_command_line([])
    counted = dead_letters.read(KafkaConfig.from_settings(settings), settings.invalid_topic, now + 1)
    return dead_letters.with_dead_letters(found, counted, (scores[0], scores[1]), now + 1, policy)


def _write(file: Path | None, figures: Any) -> None:
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


def _send(settings: Settings, lines: bytes) -> None:
    if lines:
        with sink_of(settings) as sink:
            sink.write(lines)
