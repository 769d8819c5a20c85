"""Payments pulled from a real HTTP server into a real Kafka."""

import itertools
import json
import os
import random
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from detection.message_parsing import parse
from generator.pull.pull import MOST_OF_A_CUSTOMER
from ml.features.state_schema import RECENT
from settings import Settings
from tests.generator.test_command_line import run, start
from tests.support.kafka import read_topic
from tests.support.rest_service import Asked, Said, rest_service

MAPPING: dict[str, Any] = {
    "name": "shop",
    "event_time": "at",
    "transaction_id": "id",
    "customer_id": "card.holder",
    "amount": {"column": "cents", "scale": 0.01},
}


def payment(n: int, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"id": f"p{n}", "at": f"2026-05-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"}
    return made | {"card": {"holder": f"c{n % 7}"}, "cents": 100 + n} | changes


def by_cursor(payments: list[Any], size: int) -> Callable[[Asked], Said]:
    """Pages by a cursor, the last of which has none."""

    def answer(asked: Asked) -> Said:
        begin = int(asked.get("after", "0"))
        end = min(begin + size, len(payments))
        return Said(200, {"items": payments[begin:end], "page": {"next": str(end) if end < len(payments) else None}})

    return answer


def mapping_file(folder: Path, **changes: Any) -> Path:
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(MAPPING | changes))
    return file


CURSOR = ("--next", "page.next", "--cursor", "after")


def pull(topics: Settings, folder: Path, url: str, *options: str, **variables: str) -> tuple[int, str, str]:
    fixed = ("--mapping", mapping_file(folder), "--work", folder / "work")
    return run("pull", url, *fixed, *options, **topics.environment() | variables)


def ids(topics: Settings) -> list[str]:
    records = read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    return [parse(record.value).transaction_id for record in records]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it holds; fails where the process ends before, or after a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_all_pages_by_cursor_arrive_as_transactions_and_new_ones_alone_when_it_is_called_again(
    topics: Settings, tmp_path: Path
) -> None:
    payments: list[Any] = [payment(n) for n in range(95)]
    with rest_service(by_cursor(payments, 10)) as service:
        code, out, err = pull(topics, tmp_path, service.url, "--once", *CURSOR)
        assert (code, err) == (0, "")
        assert out.startswith("95 transactions and 0 dead letters in 10 pages (0 records had come before)")
        payments += [payment(n) for n in range(95, 120)]
        code, out, err = pull(topics, tmp_path, service.url, "--once", *CURSOR)
        assert (code, err) == (0, "")
        assert out.startswith("25 transactions and 0 dead letters in 3 pages (5 records had come before)")
    records = read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    found = {parse(record.value).transaction_id: (record, parse(record.value)) for record in records}
    assert len(records) == len(found) == 120
    record, transaction = found["p12"]
    assert record.key == b"c5"
    assert (transaction.customer_id, transaction.amount) == ("c5", 1.12)
    assert transaction.event_time.isoformat() == "2026-05-01T00:00:12+00:00"


def test_pages_by_the_link_header_and_by_an_address_in_the_answer(topics: Settings, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Said:
        page = int(asked.get("page", "1"))
        some = [payment(n) for n in range(10 * page, 10 * page + 10)]
        if asked["path"] == "/payments":
            return Said(200, some, {"Link": f'</payments?page={page + 1}>; rel="next"'} if page < 3 else {})
        return Said(200, {"data": some, "links": {"next": f"?page={page + 1}" if page < 3 else ""}})

    with rest_service(answer) as service:
        code, _, err = pull(topics, tmp_path, service.url, "--once")
        assert (code, err, len(ids(topics))) == (0, "", 30)
        other = service.url.replace("payments", "others")
        code, out, err = pull(topics, tmp_path, other, "--once", "--next", "links.next", "--work", str(tmp_path / "2"))
        assert (code, err, len(ids(topics))) == (0, "", 60)
        assert "in 3 pages" in out


def test_since_takes_the_largest_event_time_and_what_shares_it_comes_once(topics: Settings, tmp_path: Path) -> None:
    payments = [payment(n) for n in (3, 1, 2)] + [payment(4, at=payment(3)["at"])]  # not in the order of time

    def answer(asked: Asked) -> Said:
        return Said(200, [one for one in payments if one["at"] >= asked.get("updated_since", "")])

    with rest_service(answer) as service:
        options = ("--once", "--since", "updated_since")
        code, out, _ = pull(topics, tmp_path, service.url, *options, "--from", payment(2)["at"])
        assert (code, out.split()[0]) == (0, "3")
        payments += [payment(5, at=payment(3)["at"]), payment(6)]
        code, out, _ = pull(topics, tmp_path, service.url, *options)
        assert out.startswith("2 transactions and 0 dead letters in 1 pages (2 records had come before)")
        assert [asked["updated_since"] for asked in service.asked] == [payment(2)["at"], payment(3)["at"]]
    assert sorted(ids(topics)) == ["p2", "p3", "p4", "p5", "p6"]


def test_since_by_another_field_counts_numbers_as_numbers(topics: Settings, tmp_path: Path) -> None:
    payments = [payment(n, number=n) for n in range(8, 12)]

    def answer(asked: Asked) -> Said:
        return Said(200, [one for one in payments if one["number"] > int(asked.get("after", "0"))][:3])

    with rest_service(answer) as service:
        for _ in range(3):
            pull(topics, tmp_path, service.url, "--once", "--since", "after=number")
        assert [asked.get("after") for asked in service.asked] == [None, "10", "11"]
    assert sorted(ids(topics)) == ["p10", "p11", "p8", "p9"]


def test_what_cannot_be_mapped_is_a_dead_letter_with_its_reason_and_comes_once(
    topics: Settings, tmp_path: Path
) -> None:
    strange: list[Any] = [
        payment(1, cents="much"),
        "no object",
        payment(2, card={"holder": ["c"]}),
        payment(3, at=None),
    ]
    strange.append(payment(4, card={"holder": "c\ud800"}))
    with rest_service(lambda asked: Said(200, [*strange, payment(0)])) as service:
        code, out, _ = pull(topics, tmp_path, service.url, "--once")
        assert code == 3
        assert out.startswith("1 transactions and 5 dead letters")
        code, out, _ = pull(topics, tmp_path, service.url, "--once")
        assert (code, out.split()[0]) == (0, "0")
    letters = read_topic(topics.kafka_bootstrap_servers, topics.invalid_topic)
    reasons = {dict(one.headers)["reason"].decode(): json.loads(one.value) for one in letters}
    assert len(letters) == len(reasons) == 5
    assert reasons["amount (column cents) must be a number, but is 'much'"] == strange[0]
    assert reasons["a record must be an object, but is 'no object'"] == "no object"
    assert reasons["event_time (column at) must have a value"] == strange[3]
    assert {dict(one.headers)["service"].decode() for one in letters} == {service.url}


def test_a_service_that_fails_is_asked_again_with_growing_waits_and_says_so(topics: Settings, tmp_path: Path) -> None:
    failures = [Said(503, "later", {"Retry-After": "2"}), Said(200, b"<html>starting</html>"), Said(500, "?")]

    def answer(_: Asked) -> Said:
        times.append(time.monotonic())
        return failures.pop(0) if failures else Said(200, [payment(1)])

    times: list[float] = []
    with rest_service(answer) as service:
        code, out, err = pull(topics, tmp_path, service.url + "?key=SECRET", "--once")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"pull: {service.url} answers 503 Service Unavailable: asked again in 2.0 s")
    assert lines[1].startswith(f"pull: {service.url} answers no JSON")
    assert lines[2].startswith(f"pull: {service.url} answers 500 Internal Server Error: asked again in ")
    assert lines[-1].startswith("1 transactions")
    assert "SECRET" not in out
    waits = [later - before for before, later in itertools.pairwise(times)]
    assert waits[0] >= 2.0
    assert waits[1] >= 1.4
    assert waits[2] >= 2.9


def test_a_service_that_is_silent_is_asked_again_after_the_timeout(topics: Settings, tmp_path: Path) -> None:
    asked_before: list[Asked] = []

    def answer(asked: Asked) -> Said:
        asked_before.append(asked)
        if len(asked_before) == 1:
            time.sleep(2)
        return Said(200, [payment(1)])

    with rest_service(answer) as service:
        code, out, err = pull(topics, tmp_path, service.url, "--once", "--timeout", "0.5")
    assert (code, err) == (0, "")
    assert out.startswith(f"pull: {service.url} does not answer within 0.5 s: asked again in ")


@pytest.mark.parametrize(
    ("said", "options", "complaint"),
    [
        (Said(401, "no"), (), "answers 401 Unauthorized: SCORELINE_PULL_AUTHORIZATION, such as 'Bearer …', is not set"),
        (Said(404, "no such thing"), (), 'answers 404 Not Found: "no such thing"'),
        (
            Said(200, {"a": [], "b": []}),
            (),
            "has to answer with a list, or an object that has one, but answers an object",
        ),
        (Said(200, {"a": 1}), ("--records", "a"), "--records a has to lead to a list, but"),
        (Said(200, [{"x": 1}]), (), "none of the 1 records of"),
        (Said(200, [], {"Link": '<http://127.0.0.2/x>; rel="next"'}), (), "is on another host: not asked"),
    ],
)
def test_what_asking_again_cannot_help_is_one_line(
    topics: Settings, tmp_path: Path, said: Said, options: tuple[str, ...], complaint: str
) -> None:
    with rest_service(lambda asked: said) as service:
        code, out, err = pull(topics, tmp_path, service.url, *options)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: ")
    assert complaint in err
    assert ids(topics) == []


@pytest.mark.parametrize(
    ("changes", "url", "options", "complaint"),
    [
        ({"transaction_id": None}, "http://x/", (), "a pull requires a column for transaction_id"),
        ({}, "payments.json", (), "URL has to be an address such as https://"),
        ({}, "http://x/", ("--every", "0"), "--every has to be a time above 0"),
        ({}, "http://x/", ("--mapping", "nonsense"), "--mapping has to be baf, banksim"),
        ({}, "http://x/", ("--cursor", "after"), "--cursor names the parameter"),
        ({}, "http://x/", ("--from", "1"), "--from is what --since begins by"),
        (
            {"event_time": {"columns": ["day", "time"]}},
            "http://x/",
            ("--since", "after"),
            "--since takes event_time as",
        ),
    ],
)
def test_wrong_use_is_one_line(
    topics: Settings, tmp_path: Path, changes: dict[str, Any], url: str, options: tuple[str, ...], complaint: str
) -> None:
    mapping = tmp_path / "shop.yaml"
    mapping.write_text(
        yaml.safe_dump({name: value for name, value in (MAPPING | changes).items() if value is not None})
    )
    fixed = ("--mapping", mapping, "--work", tmp_path / "work")
    code, out, err = run("pull", url, *fixed, *options, **topics.environment())
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"error: {complaint}")


def test_the_secret_goes_into_the_header_and_into_no_file_or_line(topics: Settings, tmp_path: Path) -> None:
    with rest_service(lambda asked: Said(200, [payment(1)])) as service:
        code, out, err = pull(
            topics, tmp_path, service.url, "--once", SCORELINE_PULL_AUTHORIZATION="Bearer MARKED", HOME=str(tmp_path)
        )
        assert [asked["authorization"] for asked in service.asked] == ["Bearer MARKED"]
    assert code == 0
    kept = tmp_path / "work" / "shop.json"
    assert "MARKED" not in out + err + kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_cursor_that_the_service_has_forgotten_is_no_loss_with_since(topics: Settings, tmp_path: Path) -> None:
    payments = [payment(n) for n in range(20)]
    forgotten: list[bool] = []

    def answer(asked: Asked) -> Said:
        begin = int(asked.get("after", "0"))
        if begin and not forgotten:
            forgotten.append(True)
            return Said(410, "too old")
        some = [one for one in payments if one["at"] >= asked.get("since", "")]
        return Said(
            200, {"items": some[begin : begin + 10], "page": {"next": begin + 10 if begin + 10 < len(some) else None}}
        )

    with rest_service(answer) as service:
        code, out, err = pull(topics, tmp_path, service.url, "--once", "--since", "since", *CURSOR)
    assert (code, err) == (0, "")
    assert "(10 records had come before)" in out
    assert len(ids(topics)) == 20


def test_a_position_of_another_service_is_not_taken(topics: Settings, tmp_path: Path) -> None:
    with rest_service(lambda asked: Said(200, [payment(1)])) as service:
        assert pull(topics, tmp_path, service.url, "--once")[0] == 0
        code, _, err = pull(topics, tmp_path, service.url + "/others", "--once")
    assert code == 1
    assert f"shop.json is the position of a pull with another service ({service.url} there, " in err


def test_it_goes_on_until_it_is_stopped_and_a_second_one_is_refused(topics: Settings, tmp_path: Path) -> None:
    payments: list[Any] = [payment(0)]
    fixed = ("--mapping", mapping_file(tmp_path), "--work", tmp_path / "work")
    with rest_service(by_cursor(payments, 10)) as service:
        process = start("pull", service.url, *fixed, "--every", "200ms", *CURSOR, **topics.environment())
        wait_for(lambda: len(service.asked) >= 3, process)
        payments += [payment(n) for n in range(1, 30)]
        until = len(service.asked) + 5
        wait_for(lambda: len(service.asked) >= until, process)
        code, _, err = pull(topics, tmp_path, service.url, "--once", *CURSOR)
        assert (code, err.count("\n")) == (1, 1)
        assert "another pull holds" in err
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "30 transactions and 0 dead letters" in out
    assert sorted(ids(topics)) == sorted(one["id"] for one in payments)


def test_killed_at_any_moment_it_loses_nothing_and_repeats_no_more_than_the_fold_removes(
    topics: Settings, tmp_path: Path
) -> None:
    """Kills while it sends; what is on the topic in the end is each payment, and each repeat within the fold's reach."""
    assert MOST_OF_A_CUSTOMER <= RECENT
    payments: list[Any] = [payment(n) for n in range(3_000)]
    fixed = ("--mapping", mapping_file(tmp_path), "--work", tmp_path / "work")
    pages = by_cursor(payments, 200)

    def slow(asked: Asked) -> Said:
        time.sleep(0.05)
        return pages(asked)

    with rest_service(slow) as service:
        for seed in range(5):
            process = start("pull", service.url, *fixed, "--once", *CURSOR, **topics.environment())
            before = len(service.asked)
            wait_for(lambda: len(service.asked) >= before + 3, process)  # noqa: B023
            time.sleep(random.Random(seed).uniform(0, 0.2))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)
        code, _, err = pull(topics, tmp_path, service.url, "--once", *CURSOR)
        assert (code, err) == (0, "")
    arrived = ids(topics)
    assert set(arrived) == {one["id"] for one in payments}
    last: dict[str, list[str]] = {}
    for one in arrived:
        of = last.setdefault(f"c{int(one[1:]) % 7}", [])
        if one in of:  # judged again only if it is not among the customer's last ones
            assert one in of[-RECENT:]
        else:
            of.append(one)
    assert len(arrived) - len(payments) <= 5 * 7 * MOST_OF_A_CUSTOMER


def test_pages_that_follow_one_another_in_a_circle_end(topics: Settings, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Said:
        page = int(asked.get("after", "0"))
        return Said(200, {"items": [payment(page)], "page": {"next": str(1 + page % 3)}})

    with rest_service(answer) as service:
        code, out, err = pull(topics, tmp_path, service.url, "--once", *CURSOR)
    assert (code, err) == (0, "")
    assert "in 4 pages" in out
    assert sorted(ids(topics)) == ["p0", "p1", "p2", "p3"]


@pytest.mark.parametrize("following", ["\ud800", "http://[1", "http://" + "a" * 300 + ".example/"])
def test_a_next_page_that_is_no_address_is_one_line(topics: Settings, tmp_path: Path, following: str) -> None:
    with rest_service(lambda _: Said(200, {"items": [payment(1)], "next": following})) as service:
        code, _, err = pull(topics, tmp_path, service.url, "--once", "--next", "next")
    assert code != 0
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err


def test_what_is_no_number_and_no_text_is_not_asked_from(topics: Settings, tmp_path: Path) -> None:
    answered = json.dumps([payment(n, number=n) for n in range(3)])
    answered = answered.replace('"number": 2', '"number": 1' + "0" * 400).replace('"number": 0', '"number": "\\ud800"')
    with rest_service(lambda _: Said(200, answered.encode())) as service:
        options = ("--once", "--since", "from=number")
        for _ in range(2):
            code, _, err = pull(topics, tmp_path, service.url, *options)
            assert (code, err) == (0, "")
        assert service.asked[-1]["from"] == "1"
