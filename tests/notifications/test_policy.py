"""A policy is checked whole, says what is wrong in words without secrets, and is read again when it changes."""

import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from notifications import checking
from notifications.delivery import quiet_apprise
from notifications.errors import PolicyError
from notifications.hours import QuietHours, next_clock
from notifications.policy import Policy
from notifications.policy_file import PolicyOnDisk, usable
from tests.notifications.making import alert, event, policy

PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"
SMALL = """
channels: {desk: {url: "json://127.0.0.1/x"}}
routes: [{name: all, match: 'true', channels: [desk]}]
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's example, and its secrets."""
    quiet_apprise()
    (written,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "mail").write_text("mail-p4ssword\n")
    path = tmp_path / "policy.yaml"
    path.write_text(written.replace("/run/secrets/mail", str(tmp_path / "mail")))
    monkeypatch.setenv("SLACK_TOKENS", "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    for name in ("MAIL_USER", "TEAMS_FLOW", "TEAMS_SIGNATURE", "HOOK_TOKEN"):
        monkeypatch.setenv(name, f"{name.lower()}-s3cret")
    return path


def test_the_example_of_the_page_can_be_used_and_shows_no_secret(example: Path) -> None:
    shown = checking.shown(usable(example))
    assert "alert of 5,000 EUR, score 0.9: high stakes → desk, on-call; impossible trips → desk" in shown
    assert "event promotion (info): models → desk" in shown
    assert "event no_progress (critical): trouble → on-call, desk" in shown
    assert "the terminal of the acceptance test" in shown
    for secret in ("TIiajkdnlazkcOXrIdevi7FQ", "p4ssword", "s3cret"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("was", "is_now", "says"),
    [
        ("match: 'true'", "match: 'amout > 5'", "route all: its condition speaks of amout, but one may speak of"),
        ("match: 'true'", "match: 'amount >'", "route all: its condition can't be used"),
        ("channels: [desk]", "channels: [desks]", "names the channel desks, which there is not"),
        ("name: all", "name: all, group_wait: soon", "has to be written as 30s"),
        ("name: all", "name: all, group_by: [scores]", "group_by has scores"),
        ("name: all", "name: all, groupby: [x]", "unknown field `groupby`"),
        ('x"}', 'x", rate: {messages: 0, per: 1h}}', "`int` >= 1"),
        ('x"}', 'x", time_zone: Mars}', "Europe/Berlin"),
        ('x"}', 'x", digest: {}}', "either every or at"),
        ('x"}', 'x", templates: {body: "{{ nothing }}"}}', "its templates can't be used: 'nothing' is undefined"),
        (
            "json://127.0.0.1/x",
            "nowhere://user:hidden-p4ss@host/x",
            "Apprise can't use its URL nowhere://user:****@host/x",
        ),
        ("channels: {desk", "channels: {'a\\nb'", "channels"),
        ("routes:", "routes: [", "can't be used"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, was: str, is_now: str, says: str) -> None:
    quiet_apprise()
    path = tmp_path / "policy.yaml"
    assert was in SMALL
    path.write_text(SMALL.replace(was, is_now))
    with pytest.raises(PolicyError) as error:
        usable(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert "p4ss" not in str(error.value)


def test_a_broken_edit_leaves_the_policy_of_before_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(SMALL)
    on_disk = PolicyOnDisk(path)
    before = on_disk.policy

    def edit(text: str) -> bool:
        path.write_text(text)
        on_disk._looked_at = 0.0
        return on_disk.look()

    assert not edit(SMALL.replace("desk]", "nobody]"))
    assert on_disk.policy is before
    assert "the policy of before stays in force" in caplog.text
    assert edit(SMALL.replace("name: all", "name: other"))
    assert list(on_disk.policy.routes) == ["other"]
    path.unlink()
    on_disk._looked_at = 0.0
    assert not on_disk.look()


def test_a_silence_that_ends_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, now = tmp_path / "policy.yaml", [datetime(2026, 1, 1, tzinfo=UTC).timestamp()]
    path.write_text(f"{SMALL}silences: [{{match: 'amount > 5', until: '2026-01-02T00:00:00Z', reason: holiday}}]\n")
    on_disk = PolicyOnDisk(path, lambda: now[0])
    assert on_disk.policy.silence_of(alert(1), now[0]) is not None
    now[0] += 86_400
    on_disk._looked_at = 0.0
    with caplog.at_level(logging.INFO):
        on_disk.look()
    assert "the silence amount > 5 (holiday) has ended" in caplog.text
    assert on_disk.policy.silence_of(alert(1), now[0]) is None


def test_a_policy_that_is_a_pipe_or_not_there_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing"):
        with pytest.raises(PolicyError, match="is not there, or no file"):
            Policy.read(tmp_path / name)


def test_a_condition_over_what_a_record_lacks_does_not_hold() -> None:
    text = """
channels: {desk: {url: "json://127.0.0.1/x"}}
routes:
  - {name: speed, match: '"speed_kmh" in reasons', channels: [desk]}
  - {name: large, match: amount * anomaly_score > 10 / latitude, channels: [desk]}
  - {name: event, match: 'event == "no_progress"', channels: [desk]}
"""
    made = policy(text)
    assert made.routes_of(alert(1)) == []
    assert [route.name for route in made.routes_of(event(1))] == ["event"]


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2026-03-06T21:59", False),
        ("2026-03-06T22:00", True),
        ("2026-03-07T06:59", True),  # Saturday, of Friday's night
        ("2026-03-07T07:00", False),
        ("2026-03-07T23:00", False),
        ("2026-03-06T03:00", False),
    ],
)
def test_quiet_hours_over_midnight_belong_to_the_day_on_which_they_begin(at: str, quiet: bool) -> None:
    hours = QuietHours(1320, "07:00", ("fri",))  # YAML reads 22:00 as 1320
    assert hours.at(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Berlin"))) is quiet


def test_a_digest_at_a_time_that_the_clock_skips_or_has_twice_comes_once() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for day in (datetime(2026, 3, 28, 12, tzinfo=zone), datetime(2026, 10, 24, 12, tzinfo=zone)):
        first = next_clock(["02:30"], zone, day.timestamp())
        second = next_clock(["02:30"], zone, first)
        assert 22 * 3_600 <= second - first <= 26 * 3_600
