"""A checkpoint's rates: taken at the first start, kept, and changed by nothing but a state that is built again."""

import json
from pathlib import Path

import pytest

from detection.errors import CheckpointIncomplete
from jobs.checkpoint_settings import FrozenSettingsDiffer, hold_frozen
from jobs.currencies import given_rates, hold_rates
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from ml.features.currencies import AS_PAID, Rates, default_rates
from settings import Settings


def table(path: Path, **rates: float) -> Path:
    path.write_text(json.dumps({"base": "EUR", "date": "2026-11-01", "source": "made up", "rates": rates}))
    return path


def settings(checkpoint: Path, rates: Path | None = None) -> Settings:
    return Settings(checkpoint=str(checkpoint), currency_rates=rates)


def start(checkpoint: Path, rates: Path | None = None, replayed: Path | None = None) -> Rates:
    folder, wanted = DurableFolder.on_disk(checkpoint / "settings"), settings(checkpoint, rates)
    earlier = None if replayed is None else DurableFolder.on_disk(replayed / "settings")
    held = hold_rates(wanted, folder, earlier)
    hold_frozen(wanted, folder)
    return held


def test_a_first_start_takes_the_table_of_the_settings_or_the_built_in_one_and_a_later_one_goes_on_by_it(
    tmp_path: Path,
) -> None:
    mine = table(tmp_path / "mine.json", PLN=0.2)
    assert start(tmp_path / "a") == start(tmp_path / "a") == default_rates()
    assert start(tmp_path / "b", mine).rate("PLN") == 0.2
    assert start(tmp_path / "b").rate("PLN") == start(tmp_path / "b", mine).rate("PLN") == 0.2
    mine.unlink()
    assert start(tmp_path / "b").rate("PLN") == 0.2


def test_another_table_is_refused_in_words_that_say_how_to_change(tmp_path: Path) -> None:
    mine, other = table(tmp_path / "mine.json", PLN=0.2), table(tmp_path / "other.json", PLN=0.3)
    kept = start(tmp_path / "a", mine)
    with pytest.raises(FrozenSettingsDiffer, match=r"Start without --currency-rates to go on .*another --checkpoint"):
        start(tmp_path / "a", other)
    with pytest.raises(FrozenSettingsDiffer, match=kept.version):
        start(tmp_path / "a", other)
    again = table(tmp_path / "again.json", PLN=0.2, EUR=1.0)  # in other words the same
    assert start(tmp_path / "a", again) == kept


def test_a_first_start_that_was_interrupted_may_begin_by_another_table(tmp_path: Path) -> None:
    mine, other = table(tmp_path / "mine.json", PLN=0.2), table(tmp_path / "other.json", PLN=0.3)
    folder = DurableFolder.on_disk(tmp_path / "a" / "settings")
    hold_rates(settings(tmp_path / "a", mine), folder)  # killed before the settings were recorded
    assert start(tmp_path / "a", other).rate("PLN") == 0.3
    assert start(tmp_path / "a").rate("PLN") == 0.3


def test_a_checkpoint_of_before_there_were_rates_goes_on_with_amounts_as_they_were_paid(tmp_path: Path) -> None:
    hold_frozen(settings(tmp_path / "a"), DurableFolder.on_disk(tmp_path / "a" / "settings"))
    assert start(tmp_path / "a") == AS_PAID
    with pytest.raises(FrozenSettingsDiffer, match="amounts as they were paid"):
        start(tmp_path / "a", table(tmp_path / "mine.json", PLN=0.2))


def test_a_replay_folds_by_the_rates_of_what_it_replays_unless_it_is_given_others(tmp_path: Path) -> None:
    mine, other = table(tmp_path / "mine.json", PLN=0.2), table(tmp_path / "other.json", PLN=0.3)
    start(tmp_path / "a", mine)
    hold_frozen(settings(tmp_path / "old"), DurableFolder.on_disk(tmp_path / "old" / "settings"))
    assert start(tmp_path / "b", replayed=tmp_path / "a").rate("PLN") == 0.2
    assert start(tmp_path / "b").rate("PLN") == 0.2
    assert start(tmp_path / "c", other, tmp_path / "a").rate("PLN") == 0.3
    assert start(tmp_path / "d", replayed=tmp_path / "old") == AS_PAID
    assert start(tmp_path / "d") == AS_PAID


def test_where_there_is_nothing_to_replay_nothing_is_recorded(tmp_path: Path) -> None:
    mine = table(tmp_path / "mine.json", PLN=0.2)
    start(tmp_path / "a", mine)
    with pytest.raises(Fatal, match="has no ledger"):
        start(tmp_path / "b", replayed=tmp_path / "nowhere")
    assert start(tmp_path / "b", replayed=tmp_path / "a").rate("PLN") == 0.2


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    start(tmp_path / "a")
    (tmp_path / "a" / "settings" / "currency_rates.0").write_bytes(b"\xff{")
    with pytest.raises(CheckpointIncomplete, match="settings/currency_rates is damaged"):
        start(tmp_path / "a")


def test_a_table_that_cannot_be_read_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    assert given_rates(settings(tmp_path)) is None
    with pytest.raises(Fatal, match=r"--currency-rates: .*nowhere\.json should be a table"):
        given_rates(settings(tmp_path, tmp_path / "nowhere.json"))
