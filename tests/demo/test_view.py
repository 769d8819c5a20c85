"""The live view fits its terminal, keeps its number of lines, and says what is what."""

from datetime import timedelta

import pytest
from rich.console import Console

from demo.parts import PartQuality
from demo.plain import alert_line, status_line
from demo.quality import Part, Quality
from demo.snapshot import Snapshot
from demo.tally import Alert
from demo.view import Frame, live_view
from tests.demo.records import LIVE, score

FRAME = Frame(
    60.0,
    "transactions are being scored",
    [("InfluxDB", "http://127.0.0.1:20001"), ("logs", "some/logs")],
    "labels have come",
    ["version 2 is on trial", "version 2: passed", "version 2 is promoted"],
    frozenset({2}),
)
PARTS = (
    PartQuality(Part("forest", 1), 900_000, Quality(1_000, 1_000, 650)),
    PartQuality(Part("labels", 2), 100_000, Quality(90, 100, 80)),
    PartQuality(Part("attack", 2), 20_733, Quality(7, 27, 7)),
)
ALERTS = tuple(Alert(score(n, anomaly=True, minutes=n), "card_testing" if n % 2 else None) for n in range(8))
BUSY = Snapshot(
    seconds=42.0,
    arrived=1_021_084,
    scored=1_020_733,
    invalid=12,
    arrived_per_second=12_502.4,
    scored_per_second=12_498.2,
    scored_bins=tuple(range(30)),
    latency_ms_p50=12_640,
    latency_ms_p99=21_310,
    early_alerts=1_081,
    early_latency_ms_p50=3,
    early_latency_ms_p99=14,
    quality=Quality(alerts=1_097, frauds=1_127, caught=779),
    parts=PARTS,
    campaigns=114,
    campaigns_caught=101,
    clock=LIVE + timedelta(hours=2, minutes=14),
    speed=1_288.0,
    model_version=1,
    alerts=ALERTS,
)


def rendered(snapshot: Snapshot, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, force_terminal=False)
    console.print(live_view(snapshot, FRAME, width, height))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (160, 50)])
def test_the_view_fits_and_never_changes_its_number_of_lines(width: int, height: int) -> None:
    empty, busy = rendered(Snapshot(), width, height), rendered(BUSY, width, height)
    assert len(empty) == len(busy) < height
    assert max(map(len, busy)) <= width
    assert max(map(len, empty)) <= width


@pytest.mark.parametrize(("width", "height", "alerts"), [(80, 24, 4), (100, 38, 8)])
def test_the_figures_are_whole_on_small_terminals(width: int, height: int, alerts: int) -> None:
    text = "\n".join(rendered(BUSY, width, height))
    for figure in (
        "12,502/s",
        "1,021,084",
        "1,020,733",
        "339",
        "12 invalid",
        "p50 12,640 ms · p99 21,310 ms",
        "1,081",
        "p50 3 ms · p99 14 ms",
        "version 1",
    ):
        assert figure in text
    for words in (
        "0:42 of 1:00",
        "10:14",
        "1,288 ×",
        "1,097 alerts",
        "precision 71 %",
        "recall 69 %",
        "114 fraud campaigns",
    ):
        assert words in text
    assert text.count("card testing") + text.count("false alarm") == alerts
    assert text.count("14 earlier payments within 10 min, usually at most 2") == alerts


def test_a_tall_terminal_shows_what_each_version_came_to_in_ordinary_traffic_and_what_happened() -> None:
    text = "\n".join(rendered(BUSY, 110, 40))
    before, after = (line for line in text.splitlines() if " judged " in line)
    assert "version 1, saw no label" in before
    assert "900,000 judged · precision 65 % · recall 65 %" in before
    assert "version 2, learned from labels" in after
    assert "100,000 judged · precision 89 % · recall 80 %" in after
    assert "labels have come" in text
    assert text.count("▸ version 2") == 3
    assert "\n".join(rendered(BUSY, 80, 24)).count("▸ version 2 is promoted") == 1


def test_before_any_fraud_precision_and_recall_are_not_shown() -> None:
    text = "\n".join(rendered(Snapshot(quality=Quality(4, 0, 0)), 100, 30))
    assert "4 alerts · no fraud so far" in text
    assert "%" not in text


def test_a_plain_line_has_the_same_figures() -> None:
    line = status_line(BUSY)
    assert "\n" not in line
    for part in (
        "in 12,502/s",
        "1,020,733 of 1,021,084",
        "p99 21,310 ms",
        "1,081 early alerts: p50 3 ms, p99 14 ms",
        "precision 71 %",
        "101 of 114 campaigns caught",
    ):
        assert part in line


def test_a_plain_alert_says_why_and_whether_it_is_fraud() -> None:
    assert "alert (card testing): c0000001, 1,234.50 EUR, gift_cards FR" in alert_line(ALERTS[1])
    assert "alert (false alarm)" in alert_line(ALERTS[0])
    said = "12.3 deviations above the customer's mean, usually at most 3.4; from a device not seen before"
    assert said in alert_line(ALERTS[0])
