"""What detectors reach with profiles: in our own bank, and in the Fraud Detection Handbook's world by its book's protocol."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from generator.handbook.world import Handbook, HandbookWorld
from generator.history import Origin, write_history
from generator.labels import PERFECT
from ml.dataset.profiling import ProfilePass
from ml.detectors import DETECTORS, TooFewRows
from ml.evaluation.contest import Contestant, Learner
from ml.evaluation.data import Data, outline, read
from ml.evaluation.judgement import JudgedPart, Judgement, judge
from ml.evaluation.protocol import JudgingPart, Protocol
from ml.evaluation.report import last_line, ranked
from ml.features.currencies import default_rates
from ml.progress import Progress, silent
from scorecard.baselines import AmountAndHour, Chance, ForestWithoutLabels
from scorecard.comparison import PUBLISHED
from scorecard.pooled import Scorecard

STANDARD: Final = "standard"
HANDBOOK: Final = "handbook"
PROTOCOL: Final = Protocol()
CONTESTANTS: Final[tuple[Learner, ...]] = (*DETECTORS.values(), ForestWithoutLabels(), AmountAndHour(), Chance())


def world_trial(
    judged_part: JudgedPart,
    budget: float,
    draws: tuple[int, int],
    progress: Progress = silent,
    *,
    learns_from_gap: bool = True,
) -> dict[str, Judgement | str]:
    """Each contestant's judgement on a part of data with profiles, by name; where it could not be fitted, why.

    The threshold is the score that kept to the budget while labels were awaited. draws: the seed, and the replicates of the
    bootstrap over days, 0 for none. learns_from_gap: not where a protocol says what is fitted to.
    """
    seed, replicates = draws
    found: dict[str, Judgement | str] = {}
    for number, learner in enumerate(CONTESTANTS):
        progress("judging with profiles", number, len(CONTESTANTS), learner.name)
        try:
            contestant = Contestant.fitted(learner, judged_part.data, budget, seed, learns_from_gap)
        except TooFewRows as error:
            found[learner.name] = str(error)
            continue
        scores = contestant.scores(judged_part.test)
        found[learner.name] = judge(
            judged_part, scores, contestant.alerts(scores), budget, replicates, seed, contestant.decline_threshold
        )
    progress("judging with profiles", len(CONTESTANTS), len(CONTESTANTS))
    return found


def handbook_data(folder: Path, seed: int, handbook: Handbook, progress: Progress = silent) -> Data:
    """The Handbook's world of one seed, simulated up to the end of the protocol's test, and read; the files stay there."""
    end = PROTOCOL.fit_end + timedelta(days=PROTOCOL.delay_days + PROTOCOL.test_days)
    days = (end - handbook.first_day).days
    live_start = handbook.first + timedelta(days=days)
    origin = Origin(seed, handbook.customers, live_start, days, reporting=PERFECT, handbook=handbook)
    stage, path = f"simulating {HANDBOOK}, seed {seed}", folder / f"{HANDBOOK}-{seed}"
    write_history(path, origin, HandbookWorld.make(seed, handbook), lambda _, share: progress(stage, share, 1.0))
    progress(stage, 1.0, 1.0)
    seen = outline(path, progress=progress, rates=default_rates())
    return read(seen, PROTOCOL.split, seed, progress, ProfilePass(seen.knowledge.labels))


def handbook_part(data: Data) -> JudgedPart:
    """What the protocol judges: without those who are known as compromised, of whom nobody is left to leave out."""
    part = JudgedPart.from_data(data, JudgingPart.from_data(data, PROTOCOL).part)
    return msgspec.structs.replace(part, known=np.zeros(len(part.test), np.bool_))


def card_line(card: Scorecard) -> dict[str, Any]:
    """The last line: our own bank's figures by the customers' own features, and under `worlds` those with profiles, by world
    and detector, in the same fields.

    Where a world's figures have been published, they stand under `published`, by our names of the detectors.
    """
    worlds = {
        world: {name: last_line(results)[name] for name in ranked(results)} for world, results in card.worlds.items()
    }
    return {**last_line(card.standard), "worlds": worlds, "published": msgspec.to_builtins(PUBLISHED)}
