"""The scorecard's terms, and the kinds of fraud, explained for a reader who knows neither."""

import sys
from typing import Final

from generator.scenarios import SCENARIOS
from scorecard.baselines import AmountAndHour, Chance, ForestWithoutLabels

TERMS: Final = {
    "detector": "A program that gives every payment a score; the higher, the stranger. Detectors that learn from labels see "
    "only those that had arrived when they were trained, of payments before the judged days. "
    f"{AmountAndHour.name} and {Chance.name} are baselines. With profiles, isolation_forest is fitted "
    "without labels, but sees what labels said of a merchant; "
    f"{ForestWithoutLabels.name} sees nothing that came from a label.",
    "alert budget": "The share of all payments that may be alerted, because a person has to look at each alert. A detector's "
    "threshold is the score that kept to the budget on earlier days; on the judged days it may come out above or below.",
    "recall": "Of all fraudulent payments, the share that was alerted.",
    "precision": "Of all alerts, the share that was fraud.",
    "false-positive rate": "Of all honest payments, the share that was alerted.",
    "F1": "One figure for both precision and recall, their harmonic mean.",
    "AUC": "How often a fraudulent payment scores higher than an honest one, if one of each is drawn: 0.5 is chance, 1 is "
    "perfect. The area under the receiver operating characteristic.",
    "average precision": "Precision, averaged over all thresholds, each weighted by the recall that it adds: the area under "
    "the first plot. Chance is the share of fraud among the payments.",
    "Card Precision@100": "If 100 customers a day are checked, those with the highest scores: the share of the 100 who were "
    "being robbed that day; those found earlier or already known are left out. With few frauds a day it can't come near 1.",
    "perfect, at the budget": "No detector can do better: where more payments are fraud than may be alerted, some are missed.",
    "transactions, time until caught; lost before": "Of the attacks that were caught, the median up to the first alert: its "
    "number in the attack, the time since the attack began, and the money lost by then.",
    "own rule": "What a one-line rule finds that an analyst would write for this kind of fraud alone, if it had the whole "
    "alert budget to itself.",
    "reasons right": "Each alert names up to three features as its reasons. Of this fraud's alerts, the share where the first "
    "of them, and where any of them, is one that this fraud does change; below it, what three features drawn by lot give.",
}


def kinds() -> dict[str, str]:
    """What each kind of fraud is: the first line of the module that plays it."""
    first_lines = {s.name: (sys.modules[s.play.__module__].__doc__ or "").partition("\n")[0] for s in SCENARIOS}
    return {name: line.partition(": ")[2] for name, line in first_lines.items()}
