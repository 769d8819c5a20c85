"""The page in a real browser, on a real broker: what an analyst does, from the click to the label on the topic."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from page.parts import Parts
from page.store.database import open_database
from settings import Settings
from tests.page.running import running
from tests.page.scores import encoded, score
from tests.page.test_labels import labels, number_of_alerts, produce, until
from tests.page.test_queue import put

OFFLINE = "net::ERR_INTERNET_DISCONNECTED"
"""What Chromium itself says where a test takes its network from it."""

CHROMIUM = shutil.which("chromium") or ""

expect.set_options(timeout=60_000)  # on a busy machine five seconds, its default, may be few


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert CHROMIUM, "the browser chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """A browser's page; at the end, that nothing went wrong in its console and that it asked no other host."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    sheet = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []

    def listen(request: Request) -> None:
        asked.append(request.url)

    sheet.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    sheet.on("pageerror", lambda error: complaints.append(str(error)))
    sheet.on("request", listen)
    sheet.goto(address)
    yield sheet
    assert [text for text in complaints if OFFLINE not in text] == []
    assert [url for url in asked if not url.startswith(address)] == []
    context.close()


def test_a_verdict_goes_from_a_key_to_the_topic_of_labels_and_undo_takes_it_back(
    chromium: Browser, topics: Settings, tmp_path: Path
) -> None:
    parts = Parts.of(topics, open_database(f"sqlite:///{tmp_path / 'cases.db'}"))
    with running(parts) as address, opened(chromium, address) as sheet:
        expect(sheet.get_by_text("No case is like this")).to_be_visible()
        produce(topics, topics.alerts_topic, encoded(score(1, amount=900.0), score(2, customer_id="<b>x</b>")))
        expect(sheet.get_by_role("link", name="1", exact=True)).to_be_visible(
            timeout=30_000
        )  # by itself, without reloading
        expect(sheet.get_by_text("2 alerts in 2 cases")).to_be_visible()
        sheet.keyboard.press("n")
        expect(sheet.get_by_role("heading", name="Case 1")).to_be_visible()
        sheet.get_by_label("Note").fill("f is for fraud, but not here")
        assert labels(topics) == []
        sheet.get_by_role("heading", name="Case 1").click()
        sheet.keyboard.press("f")
        expect(sheet.get_by_role("heading", name="Case 2")).to_be_visible()
        until(lambda: [label.is_fraud for label in labels(topics)] == [True])
        sheet.keyboard.press("z")
        expect(sheet.get_by_role("heading", name="Case 1")).to_be_visible()
        until(lambda: [label.is_fraud for label in labels(topics)] == [True, None])
        assert labels(topics)[0].transaction_id == "t1"
        sheet.reload()
        expect(sheet.get_by_text("f is for fraud, but not here").first).to_be_visible()


def test_two_windows_at_once_see_each_others_work(chromium: Browser, topics: Settings, tmp_path: Path) -> None:
    parts = Parts.of(topics, open_database(f"sqlite:///{tmp_path / 'cases.db'}"))
    put(parts.database, encoded(score(1, amount=900.0), score(2)))
    with running(parts) as address, opened(chromium, address) as one, opened(chromium, address) as other:
        one.get_by_role("button", name="Next case").click()
        expect(one.get_by_role("heading", name="Case 1")).to_be_visible()
        expect(other.get_by_text("now")).to_be_visible()
        one.get_by_role("button", name="Honest").click()
        expect(other.get_by_text("1 alerts in 1 cases")).to_be_visible()


def test_a_browser_that_slept_or_lost_its_server_shows_what_is_there_now(
    chromium: Browser, topics: Settings, tmp_path: Path
) -> None:
    place = f"sqlite:///{tmp_path / 'cases.db'}"
    parts = Parts.of(topics, open_database(place))
    with running(parts) as address, opened(chromium, address) as sheet:
        sheet.context.set_offline(True)
        put(parts.database, encoded(*map(score, range(120))))
        time.sleep(0.5)
        sheet.context.set_offline(False)
        expect(sheet.get_by_text("120 alerts in 120 cases")).to_be_visible(timeout=30_000)
        sheet.get_by_role("link", name="After").click()
        sheet.go_back()
        expect(sheet.get_by_text("Page 1 of 3")).to_be_visible()


@pytest.mark.long
def test_200_alerts_a_second_for_a_minute_all_arrive_while_an_analyst_works(
    chromium: Browser, topics: Settings, tmp_path: Path
) -> None:
    parts = Parts.of(topics, open_database(f"sqlite:///{tmp_path / 'cases.db'}"))
    with running(parts) as address, opened(chromium, address) as sheet:
        began = time.monotonic()
        for second in range(60):
            produce(topics, topics.alerts_topic, encoded(*(score(200 * second + n) for n in range(200))))
            if second % 10 == 9:
                sheet.goto(address)
                sheet.get_by_role("button", name="Next case").click()
                sheet.get_by_role("button", name="Fraud").click()
            sheet.wait_for_timeout(max(0.0, 1000 * (began + second + 1 - time.monotonic())))
        until(lambda: number_of_alerts(parts.database) == 12_000)
        sheet.goto(address)
        expect(sheet.get_by_text("11,994 alerts in 11,994 cases")).to_be_visible(timeout=30_000)
        until(lambda: len(labels(topics)) == 6)
