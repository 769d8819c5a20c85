"""Alerts are taken in exactly once, whatever repeats and whatever is killed, and both lanes' of one transaction are one row."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ml.schema import Lane
from page.store.alert import alert_of
from page.store.database import Database, open_database
from page.store.intake import Read, offsets, take_in
from page.store.tables import alerts
from tests.page.scores import encoded, score

NOW = 1_772_366_500_000
TOPICS: dict[str, Lane] = {"alerts#1": "spark", "alerts.early#1": "early"}

transactions = st.lists(st.tuples(st.sampled_from(sorted(TOPICS)), st.integers(0, 9)), max_size=25)
"""What comes on which topic, in order; a transaction may come twice on one."""


class Killed(Exception):
    """The process ends here."""


def reads(log: Sequence[tuple[str, int]]) -> list[Read]:
    """The records of both topics, each with its offset, in the order in which they are read."""
    ends = dict.fromkeys(TOPICS, 0)
    found = []
    for topic, number in log:
        alert, _ = alert_of(encoded(score(number, customer_id=f"c{number % 3}"))[0])
        found.append(Read(topic, 0, ends[topic], NOW + len(found), TOPICS[topic], alert))
        ends[topic] += 1
    return found


def rows(database: Database) -> list[tuple[object, ...]]:
    wanted = (alerts.c.transaction_id, alerts.c.early_at, alerts.c.spark_at, alerts.c.arrived_at, alerts.c.case_id)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*wanted).order_by(alerts.c.transaction_id))]


def undisturbed(log: Sequence[tuple[str, int]], folder: Path) -> list[tuple[object, ...]]:
    with closing(open_database(f"sqlite:///{folder / 'undisturbed.db'}")) as database:
        if log:
            with database.begin() as connection:
                take_in(connection, "log", reads(log), NOW)
        return rows(database)


def feed(database: Database, log: list[Read], cuts: Sequence[int], kills: Sequence[bool]) -> None:
    """Read as the feed does: from the offsets in the store; some rounds are killed before they are committed."""
    rounds = iter([*zip(cuts, kills, strict=False)])
    while True:
        with database.read() as connection:
            places = {topic: offsets(connection, topic).get(0, 0) for topic in TOPICS}
        waiting = [one for one in log if one.offset >= places[one.topic]]
        if not waiting:
            return
        cut, killed = next(rounds, (len(waiting), False))
        try:
            with database.begin() as connection:
                take_in(connection, "log", waiting[: max(1, cut)], NOW)
                if killed:
                    raise Killed
        except Killed:
            continue


@settings(max_examples=25)
@given(transactions, st.lists(st.integers(1, 8), max_size=12), st.lists(st.booleans(), max_size=12))
@example([("alerts.early#1", 1), ("alerts#1", 1), ("alerts#1", 1)], [1, 1, 1], [True, False, True])
def test_whatever_is_killed_and_read_again_the_store_is_that_of_an_undisturbed_run(
    log: list[tuple[str, int]], cuts: list[int], kills: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with closing(open_database(f"sqlite:///{folder}/cases.db")) as database:
            feed(database, reads(log), cuts, kills)
            found = rows(database)
            with database.begin() as connection:
                assert take_in(connection, "log", reads(log), NOW) == 0
            assert rows(database) == found
        assert found == undisturbed(log, Path(folder))
        assert len(found) == len({number for _, number in log})


def test_both_lanes_of_one_transaction_are_one_row_with_both_times_and_sparks_record(database: Database) -> None:
    early = alert_of(encoded(score(1, lane="early", micro_batch=None, anomaly_score=0.7))[0])[0]
    spark = alert_of(encoded(score(1, anomaly_score=0.8))[0])[0]
    with database.begin() as connection:
        take_in(connection, "log", [Read("alerts.early#1", 0, 0, NOW, "early", early)], NOW)
        take_in(connection, "log", [Read("alerts#1", 3, 7, NOW + 900, "spark", spark)], NOW)
        row = connection.execute(select(alerts)).one()
    assert (row.early_at, row.spark_at, row.arrived_at, row.score) == (NOW, NOW + 900, NOW, 0.8)


def test_a_record_that_takes_the_place_of_another_transaction_hides_it_not(database: Database) -> None:
    invented = alert_of(encoded(score(1, transaction_id="invented"))[0])[0]
    own = alert_of(encoded(score(1))[0])[0]
    with database.begin() as connection:
        take_in(connection, "log", [Read("alerts#1", 0, 0, NOW, "spark", invented)], NOW)
        assert take_in(connection, "log", [Read("alerts#1", 0, 1, NOW, "spark", own)], NOW) == 1


def test_a_topic_that_is_made_again_begins_again(database: Database) -> None:
    alert = alert_of(encoded(score(1))[0])[0]
    with database.begin() as connection:
        assert take_in(connection, "one log", [Read("alerts#1", 0, 0, NOW, "spark", alert)], NOW) == 1
        assert take_in(connection, "another log", [Read("alerts#2", 0, 0, NOW, "spark", alert)], NOW) == 1
        assert offsets(connection, "alerts#2") == {0: 1}
