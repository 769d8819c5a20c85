"""What a run's story came to: a table of who judged how well in which chapter, some lines, and figures for a program."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table

from demo.drift_watch import in_words, minutes_after
from demo.parts import PartQuality, ordinary, together
from demo.quality import Quality
from demo.story import Outcome
from demo.view import share

_NONE: Final = Quality(0, 0, 0)


def before_and_after(parts: Iterable[PartQuality], learned: set[int]) -> tuple[Quality, Quality]:
    """How well ordinary traffic was judged: by versions that saw no label, and by those that had learned from labels."""
    some = ordinary(parts)
    before = [part for part in some if part.part.version not in learned]
    after = [part for part in some if part.part.version in learned]
    return together(before), together(after)


def story_figures(parts: Iterable[PartQuality], outcome: Outcome) -> dict[str, object]:
    """For a program; null is what did not come about."""
    before, after = before_and_after(parts, outcome.learned)
    wave, drift = outcome.wave, None
    if outcome.alarm is not None and outcome.drift_begins is not None:
        drift = round(minutes_after(outcome.alarm, outcome.drift_begins), 1)
    return {
        "precision_before": _rounded(before.precision),
        "precision_after": _rounded(after.precision),
        "recall_before": _rounded(before.recall),
        "recall_after": _rounded(after.recall),
        "promoted": outcome.promoted is not None,
        "wave_recall": None if wave is None or not wave.frauds else _rounded(wave.alerted / wave.frauds),
        "wave_first_alert_s": None if wave is None else _rounded(wave.first_alert_seconds),
        "drift_simulated_minutes": drift,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def versions_in_words(parts: Iterable[PartQuality], learned: set[int]) -> str:
    """Which version judged how many, and which had seen labels.

    >>> from demo.quality import Part
    >>> some = [PartQuality(Part("forest", 1), 900, _NONE), PartQuality(Part("labels", 2), 100, _NONE)]
    >>> versions_in_words(some, {2})
    'version 1, which saw no label, 900; version 2, which learned from labels, 100'
    """
    counts: dict[int, int] = {}
    for part in parts:
        counts[part.part.version] = counts.get(part.part.version, 0) + part.scored
    return "; ".join(
        f"version {version}, which {'learned from labels' if version in learned else 'saw no label'}, {count:,}"
        for version, count in sorted(counts.items())
    )


def parts_table(parts: Sequence[PartQuality], outcome: Outcome) -> Table:
    """A row for each chapter and version."""
    columns = "chapter", "version", "learned from", "judged", "alerts", "precision", "recall"
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[3:]:
        column.justify = "right"
    for part in parts:
        quality = part.quality
        who = "labels" if part.part.version in outcome.learned else "no label"
        judged, alerts = f"{part.scored:,}", f"{quality.alerts:,}"
        caught = share(quality.precision), f"{share(quality.recall)} of {quality.frauds:,}"
        table.add_row(part.part.chapter, str(part.part.version), who, judged, alerts, *caught)
    return table


def story_lines(outcome: Outcome) -> list[str]:
    """What else happened."""
    lines = []
    if outcome.not_promoted is not None:
        lines.append(f"no promotion: {outcome.not_promoted}")
    wave = outcome.wave
    if wave is not None and wave.frauds:
        first = "none was alerted"
        if wave.first_alert_seconds is not None:
            first = f"the first alert {wave.first_alert_seconds:.1f} s after the first of them reached Kafka"
        lines.append(f"the wave: {wave.alerted:,} of {wave.frauds:,} frauds alerted, {first}")
    if outcome.drift_begins is not None:
        found = "drift was not noticed before the run ended"
        lines.append(found if outcome.alarm is None else in_words(outcome.alarm, outcome.drift_begins))
    return lines
