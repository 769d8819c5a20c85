"""The run as a picture: recall over the days, with the drift, the alarm, the challenger, the promotion and the recovery."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.loop.figures import RECOVERED, WINDOW, Curve, Figures, Run
from ml.features import DAY

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "scoreline"

_SIZE: Final = (9.0, 4.5)
_DPI: Final = 150
_TOP, _ROW, _ROWS = 1.24, 0.055, 4
_LIVE, _WITHOUT, _DRIFT, _STEP = "tab:blue", "tab:gray", "tab:red", "tab:green"


def draw(run: Run, curve: Curve, figures: Figures, file: Path) -> None:
    """Write the picture; the file's ending says its form."""
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.days, _gaps(curve.without), "--", color=_WITHOUT, label="the first champion, without the loop")
    axes.plot(curve.days, _gaps(curve.live), color=_LIVE, label="as judged")
    if figures.recall_before is not None:
        wanted = RECOVERED * figures.recall_before
        axes.axhline(wanted, color=_LIVE, linewidth=0.8, linestyle=":", label=f"{RECOVERED:.0%} of before the drift")
    for row, (name, day, minutes, colour) in enumerate(_moments(run, figures)):
        _mark(axes, day, name if minutes is None else f"{name}, {minutes:.1f} min", colour, row)
    axes.set_ylim(0, _TOP)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("simulated days since the drift began; minutes are of the wall clock")
    axes.set_ylabel(f"recall of the last {WINDOW // DAY} days,\n{figures.alert_share:.1%} alerted")
    axes.legend(loc="lower right", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _moments(run: Run, figures: Figures) -> list[tuple[str, float, float | None, str]]:
    """What happened when: its name, the simulated day, minutes of the wall clock, and a colour."""
    found: list[tuple[str, float, float | None, str]] = [("the drift begins", 0.0, None, _DRIFT)]
    marks = (
        ("alarm", run.time_of("alarm"), figures.alarm_minutes),
        ("challenger", run.time_of("challenge", "candidate"), figures.challenger_minutes),
        ("promoted", run.time_of("promote"), figures.promoted_minutes),
    )
    for name, entry, minutes in marks:
        if entry is not None:
            found.append((name, (entry.event_time - run.begins) / DAY, minutes, _STEP))
    return found


def _mark(axes: Axes, day: float, text: str, colour: str, row: int) -> None:
    """A line at a day; the texts stand in rows, so that two of nearly the same day can be read."""
    height = _TOP - 0.02 - _ROW * (row % _ROWS)
    axes.plot([day, day], [0, height], color=colour, linewidth=0.8)
    axes.annotate(text, (day, height), (3, 0), textcoords="offset points", color=colour, fontsize="small", va="top")


def _gaps(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
