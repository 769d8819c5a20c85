"""Panels and boards, in the words in which a board describes them → Grafana's own form, by its SDK."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldConfig,
    FieldConfigSource,
    GridPos,
    MatcherConfig,
    Panel,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
)

from grafana.questions import INFLUXDB, PROMETHEUS, InfluxQL, Question, lettered

COLUMNS: Final = 24
NONE: Final = "–"

Steps = Sequence[tuple[float, str]]
"""Thresholds: from which value on which colour. Below the first it is green."""

Overrides = dict[str, dict[str, Any]]
"""By the name of a series or column: property → value."""


@dataclass
class Drawn:
    """One panel: what it shows, for whom it says what to do, and how it is drawn.

    kind: Grafana's type of panel. description: what is shown, and what to do where it looks wrong. width: of 24 columns.
    first: the colour below the first step.
    """

    kind: str
    title: str
    description: str
    questions: tuple[Question, ...]
    unit: str = "short"
    width: int = 12
    steps: Steps = ()
    first: str = "green"
    decimals: int | None = 0
    interval: str | None = "15s"
    least: float | None = 0
    no_value: str = NONE
    options: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Any] | None = None
    color: dict[str, Any] = field(default_factory=lambda: {"mode": "thresholds"})
    overrides: Overrides = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    transformations: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def source(self) -> DataSourceRef:
        """Where its queries go; all of a panel go to the same."""
        return INFLUXDB if isinstance(self.questions[0], InfluxQL) else PROMETHEUS

    def build(self, number: int, place: GridPos) -> Panel:
        """As Grafana has it."""
        colors = [(None, self.first), *self.steps]
        steps = [Threshold(value, color) for value, color in colors]
        defaults = FieldConfig(
            unit=self.unit,
            decimals=self.decimals,
            min_val=self.least,
            color=self.color,  # type: ignore[arg-type]
            thresholds=ThresholdsConfig(ThresholdsMode.ABSOLUTE, steps),
            no_value=self.no_value,
            custom=self.custom,
            links=self.links or None,  # type: ignore[arg-type]
        )
        return Panel(
            type_val=self.kind,
            id_val=number,
            title=self.title,
            description=self.description,
            targets=list(lettered(self.questions)),
            datasource=self.source,
            grid_pos=place,
            interval=self.interval,
            options=self.options,
            field_config=FieldConfigSource(defaults, [_override(name, to) for name, to in self.overrides.items()]),
            transformations=[DataTransformerConfig(id_val=name, options=to) for name, to in self.transformations],
        )


def _override(name: str, properties: dict[str, Any]) -> Any:
    values = [DynamicConfigValue(key, value) for key, value in properties.items()]
    return sdk.DashboardFieldConfigSourceOverrides().matcher(MatcherConfig("byName", name)).properties(values).build()


@dataclass
class Row:
    """Panels beside each other, so high; with a title above them where it begins a part of the board."""

    height: int
    panels: list[Drawn]
    title: str = ""


@dataclass
class Board:
    """A dashboard. file: its name in dashboards/, without the ending; variables, annotations: as Grafana has them."""

    file: str
    uid: str
    title: str
    description: str
    rows: list[Row]
    variables: list[dict[str, Any]]
    annotations: list[dict[str, Any]] = field(default_factory=list)
    refresh: str = "5s"
    since: str = "now-15m"

    def build(self) -> dict[str, Any]:
        """As Grafana reads it from a file."""
        made = (
            sdk.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(["scoreline"])
            .timezone("browser")
            .editable()
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .refresh(self.refresh)
            .time(self.since, "now")
            .timepicker(sdk.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m"]))
            .version(1)
            .build()
        )
        return made.to_json() | {
            "panels": [*self._panels()],
            "templating": {"list": self.variables},
            "annotations": {"list": self.annotations},
            "links": LINKS,
        }

    def _panels(self) -> list[Any]:
        panels: list[Any] = []
        y = 0
        for row in self.rows:
            if row.title:
                panels.append(sdk.Row(row.title).id(len(panels) + 1).grid_pos(GridPos(1, COLUMNS, 0, y)).build())
                y += 1
            x = 0
            for drawn in row.panels:
                place = GridPos(h=row.height, w=drawn.width, x=x, y=y)
                panels.append(drawn.build(len(panels) + 1, place))
                x += drawn.width
            y += row.height
        return panels


LINKS: Final = [
    {
        "type": "dashboards",
        "title": "Scoreline",
        "tags": ["scoreline"],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
    },
    {
        "type": "link",
        "title": "Analyst's page",
        "url": "${page:raw}/",
        "tooltip": "The queue of cases; its address is the variable page",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
        "icon": "external link",
    },
]
"""Of each board: to the others with the same time range, and to the analyst's page."""
