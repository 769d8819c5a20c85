"""The run as a picture: recall over the days, with the drift, the alarm, the challenger and the promotion."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.loop.figures import Curve, Figures, Run
from ml.features import DAY

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "scoreline"

_SIZE = (8.0, 4.0)


def draw(run: Run, curve: Curve, figures: Figures, file: Path) -> None:
    """Write the picture; the file's ending says its form."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.days, _gaps(curve.without), "--", color="tab:gray", label="without the loop: the first champion")
    axes.plot(curve.days, _gaps(curve.live), color="tab:blue", label="as judged")
    _mark(axes, 0.0, "drift", "tab:red", None)
    marks = (
        ("alarm", run.time_of("alarm"), figures.alarm_minutes),
        ("challenger", run.time_of("challenge", "candidate"), figures.challenger_minutes),
        ("promotion", run.time_of("promote"), figures.promoted_minutes),
    )
    for name, entry, minutes in marks:
        if entry is not None:
            _mark(axes, (entry.event_time - run.begins) / DAY, name, "tab:green", minutes)
    axes.set_ylim(0, 1.12)
    axes.set_xlabel("simulated days since the drift; minutes are of the wall clock")
    axes.set_ylabel(f"recall of the last day,\n{figures.alert_share:.1%} alerted")
    axes.legend(loc="lower left", fontsize="small")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _mark(axes: Axes, day: float, name: str, colour: str, minutes: float | None) -> None:
    axes.axvline(day, color=colour, linewidth=0.8)
    said = name if minutes is None else f"{name}\n{minutes:.1f} min"
    axes.text(day, 1.11, said, color=colour, fontsize="small", va="top")


def _gaps(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
