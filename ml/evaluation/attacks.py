"""Each attack, a campaign against one customer: how soon it was caught, and what was lost before."""

from typing import NamedTuple

import numpy as np

from ml.arrays import Flags, Floats, Ints
from ml.dataset.labels import NONE
from ml.dataset.transactions import Transactions
from ml.evaluation.data import Data


class Frauds(NamedTuple):
    """The frauds (m,) of a part in the order of time.

    row: in the part. scenario: number, NONE where the truth names none. attack: number of its campaign and customer, because
    an alert blocks one customer's card and no other's; a fraud without campaign is an attack of its own. whole: whether its
    attack begins in the part and has a campaign, so that one can say how soon it was caught.
    """

    row: Ints
    scenario: Ints
    attack: Ints
    whole: Flags


def frauds_of(data: Data, part: Transactions, is_fraud: Flags) -> Frauds:
    """The frauds among the transactions (n,) of a part, by their truth (n,)."""
    truth = data.outline.knowledge.truth
    row = np.flatnonzero(is_fraud)
    labels = truth.rows_of(part.transaction[row])
    before = truth.rows_of(data.outline.fraud[data.outline.fraud_time < part.time[0]])
    both = np.concatenate([labels, before])
    _, attack = np.unique(
        np.stack([truth.campaign[both].view(np.uint64), truth.customer[both]]), axis=1, return_inverse=True
    )
    named = truth.campaign[labels] != NONE
    alone = len(both) + np.arange(len(row))
    return Frauds(
        row,
        truth.scenario[labels],
        np.where(named, attack[: len(row)], alone),
        named & ~np.isin(attack[: len(row)], attack[len(row) :]),
    )


class Attacks(NamedTuple):
    """a attacks: their scenario's number; the transactions (from 1) and seconds to the first alert, NaN where there is none.

    amount: in all; lost: before the first alert, since a card that was alerted is blocked. Both NaN in other currencies.
    """

    scenario: Ints
    whole: Flags
    transactions: Floats
    seconds: Floats
    amount: Floats
    lost: Floats


def attacks_of(frauds: Frauds, part: Transactions, is_alert: Flags) -> Attacks:
    """The attacks of some frauds, given which transactions (n,) of the part were alerted."""
    if not len(frauds.row):
        nothing = np.empty(0)
        return Attacks(np.empty(0, np.int64), np.empty(0, np.bool_), nothing, nothing, nothing, nothing)
    order = np.argsort(frauds.attack, kind="stable")  # each attack together, and in it the order of time
    rows, attack = frauds.row[order], frauds.attack[order]
    starts = np.flatnonzero(np.append(True, attack[1:] != attack[:-1]))
    sizes = np.diff(starts, append=len(rows))
    number = np.arange(len(rows)) - np.repeat(starts, sizes)
    first = np.minimum.reduceat(np.where(is_alert[rows], number, len(rows)), starts)
    caught = first < sizes
    alerted = rows[starts + np.where(caught, first, 0)]
    before = number < np.repeat(first, sizes)
    amount = part.amount[rows]
    return Attacks(
        frauds.scenario[order][starts],
        frauds.whole[order][starts],
        np.where(caught, first + 1.0, np.nan),
        np.where(caught, (part.time[alerted] - part.time[rows[starts]]) / 1000, np.nan),
        np.add.reduceat(amount, starts),
        np.add.reduceat(np.where(before, amount, 0 * amount), starts),
    )
