"""Every page as axe-core sees it, light, dark, wide and narrow: no violation, nothing that scrolls sideways."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from page.parts import Parts
from page.store import verdicts
from page.store.database import open_database
from settings import Settings
from tests.page.access.pages import PASSWORD, page_with, write_users
from tests.page.running import running
from tests.page.scores import encoded, score
from tests.page.search.payments import payment
from tests.page.test_browser import chromium, opened  # noqa: F401
from tests.page.test_queue import NOW, put
from watch.status import Status
from watch.steps import Entry, Step

PAGES: Final = (
    "/", "/cases/1", "/search?alerts=yes", "/search?since=yesterday", "/overview", "/merchants", "/merchant?id=m1",
    "/said?token=token-0001", "/suppressions", "/history",
)  # fmt: skip
LOOKS: Final = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 800}},
}
"""How a page is opened."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that has something everywhere."""
    folder: Path = tmp_path_factory.mktemp("page")
    settings = Settings(log_dir=folder, page_data=folder, watch_folder=folder, serve_port=1, metrics_port=0)
    parts = Parts.of(settings, open_database(f"sqlite:///{folder / 'cases.db'}"))
    parts.workers.clear()
    put(
        parts.database,
        encoded(*(score(number, customer_id="a" * 200 if number == 3 else f"c{number}") for number in range(9))),
    )
    with parts.database.begin() as connection:
        for number, verdict in enumerate(verdicts.VERDICTS, 6):
            verdicts.say(connection, [number], verdict, "called them", "anna", NOW, f"token-000{number}")
        verdicts.say(connection, [9], "fraud", "", "analyst", NOW, "token-0001")
    parts.kept.add([payment(1, transaction_id="t1", partition=1, is_anomaly=True), *map(payment, range(2, 200))])
    entry = Entry("1", 5, 6, "done", Step("train", "drift", 4), 4, said="version 4")
    status = Status(
        1, "trial", "it needs more days", 2, 3, champion=3, trial=4, alarms=("amount",), blind=("x",), steps=(entry,)
    )
    (folder / "status.json").write_bytes(msgspec.json.encode(status))
    with running(parts) as address:
        yield address
    parts.kept.close()


@pytest.mark.parametrize("look", LOOKS)
def test_no_page_has_a_violation_or_scrolls_sideways(chromium: Browser, filled: str, look: str) -> None:  # noqa: F811
    found = []
    with opened(chromium, filled, **LOOKS[look]) as sheet:
        for path in PAGES:
            sheet.goto(filled + path)
            found += [
                f"{path}: {one['id']} {one['nodes'][0]['html'][:120]}"
                for one in Axe().run(sheet).response["violations"]
            ]
            if sheet.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found.append(f"{path} scrolls sideways")
    assert found == []


@pytest.mark.parametrize("look", LOOKS)
def test_signing_in_has_no_violation_and_works(chromium: Browser, tmp_path: Path, look: str) -> None:  # noqa: F811
    users = write_users(tmp_path / "users.yaml", ana="decide")
    with ExitStack() as stack:
        page = stack.enter_context(page_with(tmp_path, page_users=users))
        sheet = stack.enter_context(opened(chromium, page.address, **LOOKS[look]))
        assert [one["id"] for one in Axe().run(sheet).response["violations"]] == []
        sheet.get_by_label("Name").fill("ana")
        sheet.get_by_label("Password").fill(PASSWORD)
        sheet.get_by_role("button", name="Sign in").click()
        sheet.get_by_role("heading", name="Queue").wait_for()
