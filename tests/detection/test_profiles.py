"""A model that judges by profiles gets them from the table that its decision names, and each score says so."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from detection.decision import BASIS, Decision
from detection.engine import Engine, Scored
from detection.judging import judge, shared_profiles
from detection.ledger import Entry, Ledger
from detection.profile_store import ProfileStore
from detection.ranges import Versions
from detection.score_json import closing, read
from detection.table_files import Name
from jobs.runtime.storage import DurableFolder
from jobs.scoring import SentDecision, judged_by
from jobs.sent_profiles import SentProfiles
from ml.features import FEATURES
from ml.features.customers import Customers
from ml.features.events import hash_id, milliseconds
from ml.features.profile_counts import blocks_of, transaction_counts
from ml.features.profile_file import write
from ml.features.profiles import NEUTRAL, PROFILE_FEATURES, PROFILE_SET, Profiles
from ml.model import Model
from ml.schema import Score
from tests.detection import recorded_log
from tests.detection.scores import exact
from tests.jobs.test_phases import folded, tasks

LOG = recorded_log.messages()
NAMES = ("merchant_log_transactions", *FEATURES[2:5], "category_activity")


class ByProfile:
    """Scores by the first column, the merchant's profile."""

    def anomaly_score(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(1 - 1 / (1 + np.abs(features[:, 0]) + np.abs(features[:, 4])))

    def anomaly_score_one(self, row: np.ndarray) -> float:
        return float(self.anomaly_score(row[np.newaxis])[0])

    def contributions(self, features: np.ndarray, typical: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(features - typical))


@pytest.fixture(scope="module")
def model() -> Model:
    return replace(
        recorded_log.model(),
        scorer=ByProfile(),
        threshold=0.3,
        features=NAMES,
        usual=np.tile([-1.0, 0.0, 1.0], (len(NAMES), 1)),
    )


def scored(decision: Decision, version: int = 0) -> list[Score]:
    found = Engine(Customers()).work(recorded_log.taken(LOG), decision, closing("spark", 3, 5, version))
    return [exact(came.value) for came in found if isinstance(came, Scored)]


def hashes(scores: list[Score]) -> list[np.ndarray]:
    names = ("merchant_id", "merchant_category")
    return [np.array([hash_id(getattr(score, name)) for score in scores], np.uint64) for name in names]


def blocks(scores: list[Score]) -> np.ndarray:
    return blocks_of(np.array([milliseconds(score.event_time) for score in scores]), 3_600)


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    """What the recorded log's first half of blocks says."""
    scores = scored(Decision.from_table(Versions(7), recorded_log.model(), None))
    block = blocks(scores)
    table = Profiles.empty(int(np.median(block)))
    early = np.flatnonzero(block <= table.as_of)
    some = [scores[row] for row in early.tolist()]
    features = np.array([score.features for score in some])
    table.take_in(transaction_counts(*hashes(some), block[early], features))
    assert len(table) > 5
    return table


def test_a_score_carries_what_was_looked_up_and_which_table_it_was(model: Model, profiles: Profiles) -> None:
    decision = Decision.from_table(Versions(7, profiles=4, profiles_digest="a" * 16), model, None, profiles)
    scores = scored(decision, 4)
    assert len(scores) > len(LOG) / 2
    expected = profiles.features(*hashes(scores), np.array([score.features[0] for score in scores]))
    ahead = blocks(scores) <= profiles.as_of
    assert 0 < ahead.sum() < len(scores)
    for score, values, is_ahead in zip(scores, expected, ahead.tolist(), strict=True):
        assert np.array(score.profile_features).tobytes() == values.tobytes()
        assert (score.profile_set, score.profile_version, score.profile_ahead) == (PROFILE_SET, 4, is_ahead)
        by_name = dict(zip((*FEATURES, *PROFILE_FEATURES), [*score.features, *values.tolist()], strict=True))
        seen = {name: by_name[name] for name in NAMES}
        assert score.anomaly_score == ByProfile().anomaly_score_one(np.array(list(seen.values())))
        assert score.named_features == (seen if score.is_anomaly else None)
        assert {reason.feature for reason in score.reasons} <= {*NAMES}
    assert any(score.is_anomaly for score in scores)


def test_before_the_first_table_all_profiles_are_neutral(model: Model) -> None:
    for score in scored(Decision.from_table(Versions(7), model, None)):
        assert score.profile_features == [NEUTRAL] * len(PROFILE_FEATURES)
        assert (score.profile_version, score.profile_ahead) == (0, False)


def test_scores_of_a_model_without_profiles_say_nothing_of_them() -> None:
    decision = Decision.from_table(Versions(7), recorded_log.model(), None)
    found = Engine(Customers()).work(recorded_log.taken(LOG), decision, closing("spark", 3, 5))
    for came in found:
        if isinstance(came, Scored):
            assert b'"profile_version":0' in came.value
            assert came.value.count(b"profile") == 1


def kept(folder: Path, profiles: Profiles, version: int) -> tuple[ProfileStore, Name]:
    file = folder / "made"
    digest = write(profiles, file)
    store = ProfileStore(DurableFolder.on_disk(folder / "kept"))
    name = Name(version, digest[:16])
    store.keep(name, file.read_bytes())
    return store, name


def test_the_job_judges_each_place_of_the_log_by_its_own_table_as_the_engine_does(
    model: Model, profiles: Profiles, tmp_path: Path
) -> None:
    store, name = kept(tmp_path, profiles, 4)
    sent_model: Any = SimpleNamespace(value=model)
    by = Versions(7, profiles=4, profiles_digest=name.digest)
    content: Any = SimpleNamespace(value=store.content(name))
    told = tasks()
    basis = folded(LOG, told)["basis"]
    start = 1 << 48
    for sent in (SentProfiles(str(name), str(store.path(name)), None), SentProfiles("other", None, content)):
        decisions = [
            (0, SentDecision.from_table(Versions(7), sent_model, None)),
            (start, SentDecision.from_table(by, sent_model, None, sent)),
        ]
        assert shared_profiles(one for _, one in decisions) is None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
            function: Any = judged_by(decisions, told)
            (found,) = function.func(iter([pd.Series(basis)]))
        versions = set()
        for part in found["json"].dropna():
            versions.add(int(part.split(b'"profile_version":')[1].split(b",")[0]))
        assert versions == {0, 4}


def test_a_mixed_micro_batch_says_the_version_once_on_each_score(model: Model, profiles: Profiles) -> None:
    with_profiles = Decision.from_table(Versions(7, profiles=4), model, None, profiles)
    without = Decision.from_table(Versions(7), recorded_log.model(), None)
    begun = folded(LOG, tasks())
    basis = np.frombuffer(b"".join(begun["basis"]), BASIS)
    mixed = judge(basis, [(0, without), (1 << 48, with_profiles)])
    end = closing("spark", 3, 5, None)
    assert b"profile_version" not in end
    found = [read(head + part + end) for head, part in zip(begun["value"], mixed.json, strict=True) if part is not None]
    assert {(score.partition, score.profile_version) for score in found} == {(0, 0), (1, 4)}


def test_the_ledger_names_tables_of_profiles_and_old_ledgers_name_none(tmp_path: Path) -> None:
    ledger = Ledger(DurableFolder.on_disk(tmp_path / "ledger"))
    versions = Versions(7, profiles=4, profiles_digest="a" * 16)
    ledger.record(Entry.from_versions(0, versions, {"0": 0}, {"0": 10}))
    again = Ledger(DurableFolder.on_disk(tmp_path / "ledger"))
    assert again.versions_at(0, 5) == versions
    assert again.tables().profiles == {"4-" + "a" * 16}
    assert again.tables().thresholds == frozenset()
    old = msgspec.json.decode(b'{"micro_batch":1,"model_version":3,"start":{},"end":{}}', type=Entry)
    assert (old.versions.profiles, old.versions.profiles_digest) == (0, "")


def test_a_kept_table_that_is_damaged_or_lost_is_named(tmp_path: Path, profiles: Profiles) -> None:
    store, name = kept(tmp_path, profiles, 4)
    place = store.path(name)
    assert place is not None
    content = bytearray(place.read_bytes())
    content[-20] ^= 1
    place.write_bytes(content)
    again = ProfileStore(DurableFolder.on_disk(tmp_path / "kept"))
    with pytest.raises(LookupError, match=r"table of profiles 4-.* is damaged"):
        again.check(name)
    place.unlink()
    with pytest.raises(LookupError, match=r"lacks the table of profiles 4-"):
        again.check(name)
    with pytest.raises(LookupError, match="is not"):
        store.keep(Name(5, "b" * 16), (tmp_path / "made").read_bytes())


def test_tables_that_the_ledger_names_and_the_newest_stay(tmp_path: Path, profiles: Profiles) -> None:
    store, name = kept(tmp_path, profiles, 1)
    content = store.content(name)
    for version in range(2, 6):
        store.keep(Name(version, name.digest), content)
    assert not store.purge({f"2-{name.digest}"}, most=10)
    assert [int(file.name.split("-")[0]) for file in sorted((tmp_path / "kept").iterdir())] == [2, 5]
    assert store.newest == Name(5, name.digest)
