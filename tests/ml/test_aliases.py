"""Champion, previous and challenger, and the record of what was done to them, on a real MLflow."""

import json
from pathlib import Path

import msgspec
import pytest

from ml.arrays import Floats
from ml.model import Model
from ml.registry import promotion_history, tracking
from ml.registry.model_store import Check, ModelStore, Note, RegistryError, Terms
from tests.ml.conftest import Run


@pytest.fixture
def three(registry: ModelStore, small_model: Model, features: Floats) -> ModelStore:
    """A registry of three versions, none of them champion."""
    for seed in (1, 2, 3):
        registry.register(small_model, features, {"rows": 5_000, "seed": seed, "history": "/data/march"})
    return registry


def aliases(registry: ModelStore) -> dict[str, int]:
    return {alias: row.version for row in registry.models() for alias in row.aliases}


def trial_of(registry: ModelStore) -> tuple[int, Terms]:
    found = registry.on_trial()
    assert found is not None
    return found.entry.version, found.terms


def test_previous_is_the_champion_before_this_one_through_promotions_and_rollbacks(three: ModelStore) -> None:
    three.promote(1)
    assert aliases(three) == {"champion": 1}
    three.promote(2)
    three.promote(3)
    assert aliases(three) == {"champion": 3, "previous": 2}
    three.rollback()
    assert aliases(three) == {"champion": 2, "previous": 1}
    three.rollback()
    assert aliases(three) == {"champion": 1}


def test_where_the_champion_before_was_deleted_previous_is_the_one_before_that(three: ModelStore) -> None:
    three.promote(1)
    three.promote(2)
    tracking.client(three.uri).delete_model_version("scoreline", "2")
    three.promote(3)
    assert aliases(three) == {"champion": 3, "previous": 1}


def test_where_no_champion_before_is_left_there_is_no_previous(three: ModelStore) -> None:
    three.promote(1)
    tracking.client(three.uri).delete_model_version("scoreline", "1")
    three.promote(2)
    assert aliases(three) == {"champion": 2}


def test_a_challenger_is_on_trial_until_it_is_promoted_or_withdrawn(three: ModelStore) -> None:
    three.promote(1)
    assert three.on_trial() is None
    three.challenge(2)
    assert trial_of(three) == (2, Terms())
    three.challenge(2, terms=Terms(0.5, 0.1, "salt"))
    assert trial_of(three) == (2, Terms(0.5, 0.1, "salt"))
    three.promote(2)
    assert three.on_trial() is None
    three.challenge(3)
    assert three.withdraw() == 3
    assert aliases(three) == {"champion": 2, "previous": 1}


def test_what_can_not_be_put_on_trial_or_withdrawn_is_said(three: ModelStore) -> None:
    three.promote(1)
    with pytest.raises(RegistryError, match="version 1 is the champion"):
        three.challenge(1)
    with pytest.raises(RegistryError, match=r"no version 9 .*there are 1, 2, 3"):
        three.challenge(9)
    with pytest.raises(RegistryError, match="no version of the model 'scoreline' is on trial"):
        three.withdraw()


def test_each_change_is_recorded_with_who_when_why_and_by_which_data(three: ModelStore) -> None:
    checks = [Check("speed", True, "1.1 times the champion's"), Check("quality", None, "no labels")]
    three.promote(1)
    three.challenge(2, Note("watch", "new labels"))
    three.promote(2, Note("ann", "it is better", True, checks))
    three.rollback(Note("ann", "it was not"))
    first, trial, second, back = three.events()
    assert [(e.action, e.version, e.replaced) for e in (first, trial, second, back)] == [
        ("promote", 1, None),
        ("challenge", 2, None),
        ("promote", 2, 1),
        ("rollback", 1, 2),
    ]
    assert (second.by, second.why, second.forced, second.gate) == ("ann", "it is better", True, checks)
    assert second.trained_on["history"] == "/data/march"
    assert (second.trained_on["rows"], second.trained_on["seed"]) == ("5000", "2")
    assert first.by == promotion_history.this_user()
    assert first.time <= trial.time <= second.time <= back.time


def test_the_record_grows_and_what_is_in_it_stays_as_it_was(three: ModelStore) -> None:
    def events() -> dict[str, str]:
        tags = tracking.client(three.uri).get_registered_model("scoreline").tags
        return {key: value for key, value in tags.items() if ".event." in key}

    before: dict[str, str] = {}
    for version in (1, 2, 3, 2):
        three.promote(version)
        now = events()
        assert now.items() > before.items()
        before = now
    assert [event.version for event in three.events()] == [1, 2, 3, 2]


def test_an_event_fits_into_a_tag_whatever_was_written_into_it() -> None:
    checks = [Check(f"check {n}", False, "x" * 1_000) for n in range(12)]
    note = Note("me" * 1_000, "why " * 10_000, gate=checks)
    event = promotion_history.Event.now("promote", 3, 2, note, {"history": "p" * 9_000})
    text = promotion_history.encoded(event)
    assert len(text) <= 5_000
    again = msgspec.json.decode(text, type=promotion_history.Event)
    assert (again.version, again.replaced, [check.passed for check in again.gate]) == (3, 2, [False] * 12)


def test_a_tag_of_somebody_else_among_the_events_is_left_out(three: ModelStore) -> None:
    three.promote(1)
    tracking.client(three.uri).set_registered_model_tag("scoreline", "scoreline.champion.event.000009-x", "hello")
    assert [event.version for event in three.events()] == [1]
    three.promote(2)
    assert [event.version for event in three.events()] == [1, 2]


def test_a_champion_by_another_alias_has_a_challenger_and_a_record_of_its_own(three: ModelStore) -> None:
    live = ModelStore(three.uri, "scoreline", "live")
    live.promote(1)
    live.promote(2)
    live.challenge(3)
    assert three.on_trial() is None
    assert three.events() == []
    assert aliases(three) == {"live": 2, "live-previous": 1, "live-challenger": 3}


@pytest.mark.usefixtures("three")
def test_the_commands_challenge_and_models_history(run: Run) -> None:
    assert run("models", "--history")[1].count("\n") == 1
    run("promote", "1", "--why", "the first one")
    assert run("challenge", "2", "--by", "airflow") == (0, "version 2 of scoreline is on trial now\n", "")
    _, newest, oldest = run("models", "--history")[1].splitlines()
    assert newest.split("\t")[1:5] == ["challenge", "2", "", "airflow"]
    assert oldest.split("\t")[5:] == ["the first one", "", "/data/march, 5,000 rows"]
    lines = run("models", "--history", "--json")[1].splitlines()
    assert [msgspec.json.decode(line)["action"] for line in lines] == ["challenge", "promote"]
    assert run("challenge", "--end") == (0, "version 2 of scoreline is no longer on trial\n", "")
    assert "takes the VERSION" in run("challenge")[2]
    assert "version 9 is not put on trial: there is no such version" in run("challenge", "9")[2]


def test_training_records_the_data_that_it_learned_from(run: Run, registry: ModelStore, history_folder: Path) -> None:
    assert run("train", str(history_folder), "--promote")[0] == 0
    data = registry.events()[0].trained_on
    assert data["history"] == str(history_folder.resolve())
    assert len(data["history_sha256"]) == 64
    assert (data["rows"], data["labels"]) == ("6000", "0")
    assert data["history_until"].startswith("2025-")


EVENT = {"action": "promote", "version": 1, "replaced": None, "by": "x"}
FOREIGN = {
    "event.hello": "x",
    "event.-": "x",
    "event.9999999999999999999999-0a0a0a0a": "x",
    "event.mine": json.dumps(EVENT | {"time": 1}),
    "event.000777-0a0a0a0a": json.dumps(EVENT | {"time": 2**62}),
    "event.000778-0a0a0a0a": json.dumps(EVENT | {"time": -(2**62)}),
    "event.000779-0a0a0a0a": '{"more":' + "[" * 4_000,
    "history": "one,[2],,-1," + "9" * 4_000,
}


def test_tags_that_somebody_else_wrote_cost_no_command_and_are_no_history(run: Run, three: ModelStore) -> None:
    three.promote(1)
    for key, value in FOREIGN.items():
        tracking.client(three.uri).set_registered_model_tag("scoreline", f"scoreline.champion.{key}", value)
    three.promote(2)
    three.challenge(3)
    three.withdraw()
    three.promote(3)
    assert three.rollback() == 2
    done = [("promote", 1), ("promote", 2), ("challenge", 3), ("withdraw", 3), ("promote", 3), ("rollback", 2)]
    assert [(event.action, event.version) for event in three.events()] == done
    status, out, said = run("models", "--history")
    assert (status, out.count("\n"), said) == (0, 7, "")


def test_of_two_events_with_one_number_the_earlier_one_is_first() -> None:
    events = {"e.000002-bbbbbbbb": 1, "e.000002-aaaaaaaa": 2, "e.1000000-aaaaaaaa": 4, "e.999999-aaaaaaaa": 3}
    tags = {key: json.dumps(EVENT | {"time": time}) for key, time in events.items()}
    assert [event.time for event in promotion_history.decoded(tags, "e.")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"judges":7}', '{"judges":-1}', '{"share":-1,"judges":1}', '{"more":' + "[" * 4_000]
)
def test_by_terms_that_somebody_else_wrote_nobody_is_judged(three: ModelStore, text: str) -> None:
    three.promote(1)
    three.challenge(2, terms=Terms(0.5, 0.5))
    tracking.client(three.uri).set_model_version_tag("scoreline", "2", "scoreline.champion.trial", text)
    assert trial_of(three) == (2, Terms())


def test_a_report_that_somebody_else_wrote_is_none_or_refuses_in_words(run: Run, three: ModelStore) -> None:
    three.keep_report(2, '{"more":' + "[" * 4_000)
    assert run("promote", "2")[0] == 0
    bare = {"version": 3, "digest": "", "champion": None, "champion_digest": "", "time": 1, "checks": []}
    three.keep_report(3, json.dumps(bare | {"passed": False, "better": False}))
    status, _, said = run("promote", "3")
    assert (status, "the gate refused it (its report does not say why)" in said) == (1, True)
