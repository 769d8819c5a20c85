"""Channels and real receivers: what is taken, what is refused, what hangs, and that no secret is ever written."""

import email
import email.policy
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from notifications import defaults
from notifications.books import Message
from notifications.channel import ChannelSender, Report
from notifications.delivery import Receiver, listen_to_answers, quiet_apprise
from notifications.errors import PolicyError
from notifications.masked import Masked
from tests.notifications.making import policy
from tests.notifications.receivers import Hooks, hooks, mails

SECRET = "p4ss/w@rd:+s3cret"


@pytest.fixture(scope="module")
def web() -> Iterator[tuple[Hooks, str]]:
    listen_to_answers()
    quiet_apprise()
    with hooks() as found:
        yield found


class Reports:
    def __init__(self) -> None:
        self.all: list[Report] = []
        self.done = threading.Semaphore(0)

    def __call__(self, report: Report) -> None:
        self.all.append(report)
        if report.done:
            self.done.release()


def message(channel: str) -> Message:
    return next(defaults.samples(channel))


def test_a_web_hook_gets_title_and_body_with_the_delivery_id(web: tuple[Hooks, str]) -> None:
    got, host = web
    assert Receiver(Masked(f"json://{host}/plain")).send("Title", "Body\nof lines", "critical").delivered
    (sent,) = got.got["/plain"]
    assert (sent["title"], sent["message"], sent["type"]) == ("Title", "Body\nof lines", "failure")


def test_what_a_receiver_refuses_is_said_without_a_secret(
    web: tuple[Hooks, str], caplog: pytest.LogCaptureFixture
) -> None:
    _, host = web
    with caplog.at_level(logging.DEBUG):
        url = Masked(f"json://user:${{HOOK}}@{host}/500", {"HOOK": SECRET})
        outcome = Receiver(url).send("t", "b", "info")
        refused = Receiver(Masked("json://user:${HOOK}@127.0.0.1:1/x", {"HOOK": SECRET})).send("t", "b", "info")
    assert not outcome.delivered
    assert "500" in outcome.why
    assert not refused.delivered
    for text in (outcome.why, refused.why, repr(url), caplog.text):
        assert SECRET not in text
        assert "p4ss" not in text


def test_a_secret_comes_from_a_file_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    url = Masked(f"slack://${{file:{tmp_path / 'token'}}}/x", {})
    assert url.clear == "slack://p4ss/w%40rd%3A%2Bs3cret/x"  # in a path, slashes part tokens
    assert Masked("json://u:${X}@h/${X}", {"X": "a/b@c"}).clear == "json://u:a%2Fb%40c@h/a/b%40c"
    assert repr(url) == f"slack://${{file:{tmp_path / 'token'}}}/x"
    assert url.mask(f"a {SECRET} b {url.clear} c s3cret w@rd:+s3cret") == "a **** b slack://****/x c s3cret ****"
    with pytest.raises(PolicyError, match="environment variable NONE, which is not set"):
        Masked("slack://${NONE}/x", {})
    with pytest.raises(PolicyError, match="not there, or no file"):
        Masked("slack://${file:/nowhere}/x", {})


def test_a_url_that_apprise_does_not_know_is_refused_without_its_secret() -> None:
    with pytest.raises(PolicyError) as error:
        Receiver(Masked("nowhere://user:${X}@host/abcdefghijklmnopqrst", {"X": SECRET}))
    assert "abcdefghijklmnopqrst" not in str(error.value)
    assert "p4ss" not in str(error.value)


def test_channels_that_hang_refuse_or_ask_to_wait_hold_up_no_other(web: tuple[Hooks, str]) -> None:
    got, host = web
    written = "\n".join(
        f"  {name}: {{url: 'json://{host}/{name}?rto=1', give_up_after: {give_up}}}"
        for name, give_up in (("hang", "1s"), ("500", "3s"), ("429", "1m"), ("good", "1m"))
    )
    made = policy(
        f"channels:\n{written}\nroutes: [{{name: r, match: 'true', channels: [hang]}}]".replace(
            "  500:", '  "500":'
        ).replace("  429:", '  "429":')
    )
    reports = {name: Reports() for name in made.channels}
    senders = [ChannelSender(name, made, reports[name]) for name in made.channels]
    began = time.monotonic()
    for sender, name in zip(senders, made.channels, strict=True):
        sender.put(message(name))
    assert "delivery good/1-1" in got.wait("/good")[0]["message"]
    assert time.monotonic() - began < 5
    for each in reports.values():
        assert each.done.acquire(timeout=60)
    assert [r.outcome.delivered for r in reports["hang"].all] == [False] * len(reports["hang"].all)
    assert len(reports["500"].all) >= 2
    assert "500" in reports["500"].all[-1].outcome.why
    assert [(r.attempt, r.done, r.outcome.delivered) for r in reports["429"].all] == [
        (1, False, False),
        (2, True, True),
    ]
    first, second = got.at["/429"]
    assert second - first >= 2
    for sender in senders:
        sender.stop(5)


def test_mail_goes_by_starttls_with_a_password_as_text_and_html(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with mails(context, SECRET) as (got, port):
        ends = "from=scoreline@bank.example&to=desk@bank.example&user=scoreline"
        url = Masked(f"mailtos://scoreline:${{P}}@localhost:{port}?{ends}&smtp=127.0.0.1", {"P": SECRET})
        outcome = Receiver(url).send("3 alerts", "<p><b>Body</b></p>", "warning")
        assert outcome.delivered, outcome.why
        wrong = Masked(f"mailtos://scoreline:${{P}}@localhost:{port}?{ends}&smtp=127.0.0.1", {"P": "wrong-password"})
        refused = Receiver(wrong).send("t", "b", "info")
        assert not refused.delivered
        assert "wrong-password" not in refused.why
    (envelope,) = got.got
    assert envelope.rcpt_tos == ["desk@bank.example"]
    read = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)  # type: ignore[arg-type]
    assert read["Subject"] == "3 alerts"
    html = read.get_body(("html",))
    assert html is not None
    assert "<b>Body</b>" in html.get_content()


def test_mail_without_tls_arrives_too() -> None:
    with mails() as (got, port):
        url = f"mailto://127.0.0.1:{port}?from=a@bank.example&to=b@bank.example&mode=insecure"
        assert Receiver(Masked(url), "text").send("s", "plain < body", "info").delivered
    assert b"plain < body" in (got.got[0].content or b"")  # type: ignore[operator]
