"""A short run of the fuzzing: what was found before, and some thousand messages that are the same in every run."""

from pathlib import Path
from random import Random

import msgspec
import pytest

from detection import folding
from detection.refusals import Problem
from tests.fuzz import way
from tests.fuzz.mutate import hostile

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


def test_nothing_that_was_found_before_does_harm() -> None:
    assert len(CORPUS) > 50
    scored = way.check([None, *(file.read_bytes() for file in CORPUS)])
    assert scored
    for file in CORPUS:
        way.check([file.read_bytes()])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages_become_scores_or_dead_letters_and_their_neighbours_do_not_notice(seed: int) -> None:
    random = Random(seed)
    scored = sum(way.check([hostile(random) for _ in range(100)]) for _ in range(20))
    assert 200 < scored < 1_000  # the mutations are neither harmless nor all refused at once


def test_the_check_sees_what_harms_a_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    way.undisturbed()
    sound = folding.heads

    def shifted(*arguments: object) -> list[bytes]:
        heads = sound(*arguments)  # type: ignore[arg-type]
        return [heads[0], *heads[:-1]]

    monkeypatch.setattr(folding, "heads", shifted)
    with pytest.raises(AssertionError):
        way.check([hostile(Random(1))])


def test_a_message_without_a_value_is_a_dead_letter() -> None:
    found = way.outcomes([(7, None), (8, way.NEIGHBOURS[0])])
    assert isinstance(found[7], Problem)
    assert msgspec.json.decode(found[8])["offset"] == 8  # type: ignore[arg-type]
