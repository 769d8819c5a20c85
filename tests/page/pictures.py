"""The pictures of the page in docs/, by `make page-pictures`: of a simulated bank's real judgements, in Debian's Chromium.

Half of the alerts have the verdict that the simulator's truth gives them. All times are moved by whole days, so that the last
one is of today. The store is filled by hand: no alert has a time of arrival, and no server runs beside the page.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from msgspec import structs
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import update

from page.parts import Parts, now_ms
from page.payment import Payment
from page.store import outbox, verdicts
from page.store.alert import alert_of
from page.store.database import open_database
from page.store.intake import Read, take_in
from page.store.tables import alerts
from page.view import payment
from settings import Settings
from tests.page.bank import Bank, bank
from tests.page.running import running
from tests.page.scores import encoded
from tests.page.test_browser import CHROMIUM

_DAY_MS: Final = 86_400_000
_MILLISECOND: Final = timedelta(milliseconds=1)
WIDE: Final = {"width": 1280, "height": 900}
_ADDRESSES: Final = {
    "queue": "/",
    "search": "/search?alerts=yes&order=score",
    "overview": "/overview",
}


def fill(parts: Parts, made: Bank) -> None:
    """What the feeds would have brought, and verdicts of the alerts with an even number."""
    days = timedelta(days=(now_ms() - made.scores[-1].kafka_time) // _DAY_MS)
    moved = [
        structs.replace(one, event_time=one.event_time + days, kafka_time=one.kafka_time + days // _MILLISECOND)
        for one in made.scores
    ]
    payments: list[Payment] = [payment(score) for score in moved]
    for one in payments:
        parts.recent.add(one)
    for start in range(0, len(payments), 1_000):
        parts.kept.add(payments[start : start + 1_000])
    found = [score for score in moved if score.is_anomaly]
    reads = [
        Read("alerts#1", 0, number, one.kafka_time, "spark", alert_of(encoded(one)[0])[0])
        for number, one in enumerate(found)
    ]
    with parts.database.begin() as connection:
        take_in(connection, "log", reads, now_ms())
        connection.execute(update(alerts).values(spark_at=None))
        for is_fraud in (True, False):
            chosen = [
                n for n, one in enumerate(found, 1) if n % 2 == 0 and is_fraud == (one.transaction_id in made.frauds)
            ]
            verdicts.say(
                connection, chosen, "fraud" if is_fraud else "honest", "", "ana", now_ms(), f"picture-{is_fraud}"
            )
        outbox.mark_sent(connection, [one.number for one in outbox.waiting(connection, 10_000)], now_ms())


def draw(browser: Browser, address: str, folder: Path) -> None:
    """Each picture, light and wide."""
    sheet = browser.new_page(viewport=WIDE)
    for name, place in _ADDRESSES.items():
        sheet.goto(address + place)
        sheet.locator("[data-again]").wait_for(state="detached")
        sheet.screenshot(path=folder / f"page-{name}.png")
    sheet.goto(address)
    sheet.locator("table.cases a").first.click()
    sheet.screenshot(path=folder / "page-case.png", full_page=True)
    sheet.close()


def main() -> None:
    """Write them to the folder that is named, docs by default."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        place = Path(made)
        settings = Settings(log_dir=place, page_data=place, watch_folder=place, metrics_port=0)
        parts = Parts.of(settings, open_database(f"sqlite:///{place / 'cases.db'}"))
        parts.workers.clear()
        found = bank(place / "history")
        fill(parts, found)
        with running(parts) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            draw(browser, address, folder)
            browser.close()


if __name__ == "__main__":
    main()
