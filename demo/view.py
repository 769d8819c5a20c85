"""The live view: a snapshot → what the terminal shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.parts import PartQuality, ordinary, together
from demo.snapshot import Snapshot
from demo.tally import RECENT_ALERTS, Alert
from ml.explanation import all_in_words

LINES_AROUND_ALERTS: Final = 11
TALL: Final = 30
"""From so many rows on there is room for what each version of the model came to, and for more than what happened last."""
EVENTS: Final = 3
VERSIONS: Final = 2
BARS: Final = "▁▂▃▄▅▆▇█"
WAITING: Final = "–"
WIDE: Final = 100


@dataclass(frozen=True)
class Frame:
    """What the view shows besides the numbers."""

    duration_seconds: float
    """0 for a run without an end of its own."""
    doing: str
    """What the run is at, in a few words."""
    further: Sequence[tuple[str, str]]
    """Where to look further: what is there, and the file, address or command."""
    chapter: str = ""
    """What the run shows now."""
    events: Sequence[str] = ()
    """What has happened, in words, the newest last."""
    learned: frozenset[int] = frozenset()
    """The versions that have learned from labels."""


def live_view(snapshot: Snapshot, frame: Frame, width: int, height: int) -> RenderableType:
    """The view for a terminal of so many columns and rows; their number alone decides how many lines it has."""
    events, versions, further = (EVENTS, VERSIONS, 4) if height >= TALL else (1, 0, 3)
    number = max(1, min(RECENT_ALERTS, (height - 1 - LINES_AROUND_ALERTS - events - versions - further) // 2))
    return Group(
        _title(snapshot, frame, width),
        _line(Text(frame.chapter, "italic")),
        _flow(snapshot, width),
        Text(),
        _judgement(snapshot),
        *_versions(snapshot, frame, versions),
        _campaigns(snapshot),
        *_events(frame, events),
        Text(),
        *_alerts(snapshot.alerts[:number], number, width),
        Text(),
        *[_line(Text(f"{what:<10}", "dim") + Text(where)) for what, where in frame.further[:further]],
    )


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _title(snapshot: Snapshot, frame: Frame, width: int) -> RenderableType:
    end = f" of {clock(frame.duration_seconds)}" if frame.duration_seconds else ""
    seconds = min(snapshot.seconds, frame.duration_seconds or snapshot.seconds)
    left = _line(Text(f"Scoreline  {frame.doing}", "bold"))
    right = Text(f"{clock(seconds)}{end} · Ctrl-C ends it", "dim")
    line = Table.grid(expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    line.width = width
    return line


def clock(seconds: float) -> str:
    """A time span as minutes and seconds, or with hours.

    >>> clock(62), clock(3_725)
    ('1:02', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _flow(snapshot: Snapshot, width: int) -> RenderableType:
    """Counts and rates at the left; the latency of the job and of the service, clock and model at the right."""
    s = snapshot
    wide = width >= WIDE
    bar_count = 20 if wide else 10
    bars = (
        f"{sparkline(s.scored_bins, bar_count):<{bar_count}}"  # as wide from the start, so that the columns do not move
    )
    spark = f"p50 {_ms(s.latency_ms_p50)} · p99 {_ms(s.latency_ms_p99)}"
    service = f"p50 {_ms(s.early_latency_ms_p50)} · p99 {_ms(s.early_latency_ms_p99)}"
    rows = [
        ("in", f"{s.arrived_per_second:,.0f}/s", f"{s.arrived:,}", "", "Spark", spark),
        ("early", "", f"{s.early_alerts:,}", "alerts", "service", service),
        ("scored", f"{s.scored_per_second:,.0f}/s", f"{s.scored:,}", bars, "clock", _clock(s, wide)),
        ("lag", "", f"{s.lag:,}", f"{s.invalid:,} invalid", "model", _model(s)),
    ]
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify, least in (("left", 6), ("right", 8), ("right", 9), ("left", bar_count), ("left", 7), ("left", 20)):
        table.add_column(justify=justify, min_width=least, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        cells = [Text(text, style) for text, style in zip(row, ("dim", "bold", "", "cyan", "dim", ""), strict=True)]
        table.add_row(*cells)
    return table


def _clock(snapshot: Snapshot, wide: bool) -> str:
    if snapshot.clock is None:
        return WAITING
    speed = f"{snapshot.speed:,.0f} ×" if snapshot.speed is not None and snapshot.speed >= 1 else WAITING
    return f"{snapshot.clock:%a %d %b %H:%M} ({speed} real time)" if wide else f"{snapshot.clock:%d %b %H:%M} ({speed})"


def _model(snapshot: Snapshot) -> str:
    return WAITING if snapshot.model_version is None else f"version {snapshot.model_version}"


def _ms(value: float | None) -> str:
    return WAITING if value is None else f"{value:,.0f} ms"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars, from zero to the largest of them.

    >>> sparkline([0, 50, 100], 2)
    '▅█'
    """
    shown = values[-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in shown)


def _judgement(snapshot: Snapshot) -> Text:
    quality = snapshot.quality
    text = Text.assemble((f"{quality.alerts:,}", "bold"), " alerts · ")
    if not quality.frauds:
        return _line(text + Text("no fraud so far", "dim"))
    return _line(
        text
        + Text.assemble("precision ", (share(quality.precision), "bold"), f" ({quality.caught:,} are fraud) · ")
        + Text.assemble("recall ", (share(quality.recall), "bold"), f" (of {quality.frauds:,} frauds)")
    )


def _versions(snapshot: Snapshot, frame: Frame, number: int) -> list[Text]:
    """A line for each of the newest versions: how well each judges ordinary traffic."""
    by_version: dict[int, list[PartQuality]] = {}
    for part in ordinary(snapshot.parts):
        by_version.setdefault(part.part.version, []).append(part)
    lines = []
    for version, parts in sorted(by_version.items())[-number:] if number else []:
        quality, scored = together(parts), sum(part.scored for part in parts)
        who = f"  version {version}, {'learned from labels' if version in frame.learned else 'saw no label'}: "
        text = Text.assemble(
            (f"{who:<34}", "dim"), f"{scored:>8,} judged · precision ", (share(quality.precision), "bold")
        )
        lines.append(_line(text + Text.assemble(" · recall ", (share(quality.recall), "bold"), " in ordinary traffic")))
    return lines + [Text()] * (number - len(lines))


def _events(frame: Frame, number: int) -> list[Text]:
    shown = [_line(Text(f"▸ {what}", "magenta")) for what in frame.events[-number:]]
    return shown + [Text()] * (number - len(shown))


def share(value: float | None) -> str:
    """A share as a percentage, or a dash."""
    return WAITING if value is None else f"{value:.0%}".replace("%", " %")


def _campaigns(snapshot: Snapshot) -> Text:
    if not snapshot.campaigns:
        return _line(Text("no campaign so far", "dim"))
    return _line(
        Text.assemble(
            (f"{snapshot.campaigns:,}", "bold"),
            " fraud campaigns so far, ",
            (f"{snapshot.campaigns_caught:,}", "bold"),
            " of them caught (at least one alert)",
        )
    )


def _alerts(alerts: Sequence[Alert], number: int, width: int) -> list[RenderableType]:
    """A heading, and two lines for each of `number` alerts: what was paid and whether it is fraud, then why."""
    heading = _line(Text("Last alerts, the newest first", "dim"))
    lines = [line for alert in alerts for line in alert_lines(alert, width)]
    return [heading, *lines, *[Text()] * (2 * number - len(lines))]


def alert_lines(alert: Alert, width: int) -> tuple[Text, Text]:
    """An alert in two lines."""
    score = alert.score
    fraud = alert.scenario is not None
    verdict = ("✓ " + str(alert.scenario).replace("_", " "), "green") if fraud else ("✗ false alarm", "yellow")
    amount = f"{score.amount:,.2f} {score.currency or ''}".strip()
    where = " ".join(filter(None, [score.merchant_category, score.country])) or "somewhere"
    room = max(16, min(30, width - 65))
    first = Text.assemble(
        f"{score.event_time:%H:%M:%S}  {score.customer_id:<12.12} {amount:>14}  ",
        f"{where:<{room}.{room}}",
        (f"{score.anomaly_score:.3f}  ", "bold"),
        verdict,
    )
    return _line(first), _line(Text(f"          {all_in_words(score.reasons)}", "dim"))
