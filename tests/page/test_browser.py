"""The page in a real browser, on a real broker: what an analyst does, from the click to the label on the topic."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from lake.place import Place
from lake.rows import DAY, LABELS, SCORES, LabelRows, ScoreRows
from ml.features import FEATURES
from page.parts import Parts, now_ms
from page.store.database import open_database
from settings import Settings
from tests.page.access.pages import PASSWORD, page_with, write_users
from tests.page.running import running
from tests.page.scores import encoded, score
from tests.page.test_labels import labels, number_of_alerts, produce, until
from tests.page.test_queue import put
from tests.support.kafka import read_topic

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
        sheet.wait_for_load_state("load")
        sheet.keyboard.press("f")
        expect(sheet.get_by_role("heading", name="Case 2")).to_be_visible()
        until(lambda: [label.is_fraud for label in labels(topics)] == [True])
        sheet.wait_for_load_state("load")
        sheet.keyboard.press("z")
        expect(sheet.get_by_role("heading", name="Case 1")).to_be_visible()
        until(lambda: [label.is_fraud for label in labels(topics)] == [True, None])
        assert labels(topics)[0].transaction_id == "t1"
        sheet.reload()
        expect(sheet.get_by_text("f is for fraud, but not here").first).to_be_visible()


def archive(place: Place, scores: list[bytes], said: list[bytes]) -> None:
    """What the archive writes of such records, by the lake's own rows."""
    for table, values, rows in (
        (SCORES, scores, ScoreRows([])),
        (LABELS, said, LabelRows("L", now_ms())),
    ):
        columns = {"value": values, "partition": [0] * len(values), "offset": list(range(len(values)))}
        batch = pa.RecordBatch.from_pydict(columns | {"time": [now_ms()] * len(values)})
        write_deltalake(place.table(table), pa.Table.from_batches(rows.read(iter([batch]))), partition_by=[DAY])


def test_a_verdict_of_several_goes_from_a_click_to_labels_to_the_quality_on_the_overview(
    chromium: Browser, topics: Settings, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    features = [math.log1p(250.0), *[0.0] * (len(FEATURES) - 1)]
    alerts = [score(number, event_time=now, features=features, merchant_id="m", offset=number) for number in range(3)]
    later = score(9, event_time=now + timedelta(days=1), is_anomaly=False, reasons=[], features=features, offset=9)
    lake = Place(str(tmp_path / "lake"))
    settings = topics.model_copy(update={"lake": lake.uri, "page_data": tmp_path})
    parts = Parts.of(settings, open_database(f"sqlite:///{tmp_path / 'cases.db'}"))
    with running(parts) as address, opened(chromium, address) as sheet:
        produce(topics, topics.alerts_topic, encoded(*alerts))
        expect(sheet.get_by_text("3 alerts in 3 cases")).to_be_visible(timeout=30_000)
        sheet.goto(f"{address}/merchants")
        sheet.get_by_role("link", name="m", exact=True).click()
        sheet.get_by_label("All rows").check()
        expect(sheet.get_by_text("3 ticked:")).to_be_visible()
        sheet.get_by_label("Note").fill("one ring")
        sheet.get_by_role("button", name="Fraud").click()
        expect(sheet.get_by_role("heading", name="What you said together")).to_be_visible()
        sheet.get_by_role("button", name="Take back, of case 2").click()
        expect(sheet.get_by_text("taken back")).to_be_visible()
        until(lambda: sorted(str(label.is_fraud) for label in labels(topics)) == ["None", "True", "True", "True"])
        said = [record.value for record in read_topic(topics.kafka_bootstrap_servers, topics.labels_topic)]
        archive(lake, encoded(*alerts, later), [value for value in said if value is not None])
        sheet.goto(f"{address}/overview")
        quality = sheet.get_by_role("region", name="Quality by all labels, from the lake")
        expect(quality.get_by_role("cell", name="2", exact=True)).to_be_visible(timeout=300_000)  # known frauds
        expect(sheet.get_by_text("2 fraud, 0 honest, 0 unsure")).to_be_visible()


def test_two_analysts_at_once_get_different_cases_and_a_session_that_ends_leaves_every_window(
    chromium: Browser, tmp_path: Path
) -> None:
    users = write_users(tmp_path / "users.yaml", ana="decide", ben="decide")
    with page_with(tmp_path, page_users=users) as page:
        put(page.database, encoded(score(1, amount=900.0), score(2), score(3)))
        with opened(chromium, page.address) as ana, opened(chromium, page.address) as ben:
            for name, sheet in (("ana", ana), ("ben", ben)):
                sheet.get_by_label("Name").fill(name)
                sheet.get_by_label("Password").fill(PASSWORD)
                sheet.get_by_role("button", name="Sign in").click()
                sheet.get_by_role("button", name="Next case").wait_for()
            for sheet in (ana, ben):
                sheet.wait_for_load_state("load")  # keys work from then on
            for sheet in (ana, ben):
                sheet.keyboard.press("n")
            cases = [sheet.get_by_role("heading", level=1, name="Case ") for sheet in (ana, ben)]
            for heading in cases:
                expect(heading).to_be_visible()
            # Whose request comes first has the first case.
            assert {heading.inner_text()[:6] for heading in cases} == {"Case 1", "Case 3"}
            ana.get_by_role("button", name="Assign to me").click()
            expect(ana.get_by_text("assigned to ana")).to_be_visible()
            ben.goto(f"{page.address}/?assigned=ana")
            expect(ben.get_by_text("1 alerts in 1 cases")).to_be_visible()
            second = ana.context.new_page()
            second.goto(page.address)
            ana.get_by_role("button", name="Sign out").click()
            expect(second.get_by_role("heading", name="Sign in")).to_be_visible(timeout=30_000)
            expect(ben.get_by_role("button", name="Sign out")).to_be_visible()


def test_what_is_ticked_stays_ticked_while_alerts_come(chromium: Browser, tmp_path: Path) -> None:
    with page_with(tmp_path) as page, opened(chromium, page.address) as sheet:
        put(page.database, encoded(score(1), score(2)))
        expect(sheet.get_by_text("2 alerts in 2 cases")).to_be_visible(timeout=30_000)
        sheet.get_by_label("Case 1").check()
        put(page.database, encoded(score(3)), first=2)
        expect(sheet.get_by_role("button", name="1 new: show")).to_be_visible(timeout=30_000)
        expect(sheet.get_by_label("Case 1")).to_be_checked()
        sheet.get_by_role("button", name="Honest").click()
        expect(sheet.get_by_text("1 alert", exact=True)).to_be_visible()
        sheet.get_by_role("link", name="To the queue").click()
        expect(sheet.get_by_text("2 alerts in 2 cases")).to_be_visible()


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
