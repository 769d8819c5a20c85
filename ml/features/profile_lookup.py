"""The look-up of profiles, compiled: an entity's row by its key, and its features from its fading sums."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from ml.arrays import Hashes
from ml.compiling import compiled
from ml.features.prefetch import LINE, prefetch
from ml.features.profile_schema import AMOUNT_STEPS, LARGEST_STEP, NEUTRAL, PROFILE_FEATURES
from ml.features.profile_schema import SUMS as _SUMS

_OF_MERCHANT: Final = sum(name.startswith("merchant") for name in PROFILE_FEATURES)
_T1, _T7, _T30, _F1, _F7, _F30, _N1, _N30, _A30, _Q30 = range(len(_SUMS))
_CATEGORY_KEY: Final = np.uint64(0x9E3779B97F4A7C15)

_AHEAD: Final = 8
"""Transactions ahead of the one that is looked up, whose merchant's row is asked for."""

_EXPECTED: Final = 0.3
"""So many frauds are added to those known and to those expected: what one merchant's few transactions say is not much."""
_SEEN: Final = 5.0
"""The same of transactions and newcomers."""
_LEAST_DEVIATION: Final = 0.2 * AMOUNT_STEPS


def directory(keys: Hashes) -> npt.NDArray[np.int32]:
    """(2^b + 1,) int32: where the keys (e,) whose first b bits are at least so much begin; about one entity each."""
    bits = max(1, len(keys).bit_length())
    bounds = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    return np.append(np.searchsorted(keys, bounds), len(keys)).astype(np.int32)


@compiled
def _shift(begins):  # type: ignore[no-untyped-def]
    """How many bits of a key do not say in which part of the directory it is."""
    shift, size = 64, len(begins) - 1
    while size > 1:
        size >>= 1
        shift -= 1
    return np.uint64(shift)


@compiled
def _find(keys, begins, shift, key):  # type: ignore[no-untyped-def]
    """The row of a key, -1 where there is none: in its part of the directory, by halving it, whatever the keys are."""
    part = np.int64(key >> shift)
    low, high = np.int64(begins[part]), np.int64(begins[part + 1])
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low] == key else -1


@compiled
def look_up(keys, sums, begins, total, scales, merchant, category, log_amount, out):  # type: ignore[no-untyped-def]
    """Write the features of transactions (n,) to out (n, P); total (S,) is scaled already. See `Profiles.features`."""
    shift, n = _shift(begins), len(merchant)
    for i in range(n):
        if i + 2 * _AHEAD < n:
            part = np.int64(merchant[i + 2 * _AHEAD] >> shift)
            _ask(begins.ctypes.data + part * begins.itemsize)
        if i + _AHEAD < n and len(keys):
            _ask_for(keys, sums, min(np.int64(begins[np.int64(merchant[i + _AHEAD] >> shift)]), len(keys) - 1))
        row = _find(keys, begins, shift, merchant[i]) if merchant[i] != 0 else -1
        _describe_merchant(sums, row, total, scales, log_amount[i], out[i, :_OF_MERCHANT])
        row = _find(keys, begins, shift, category[i] ^ _CATEGORY_KEY) if category[i] != 0 else -1
        _describe_category(sums, row, total, scales, log_amount[i], out[i, _OF_MERCHANT:])


@compiled
def _ask_for(keys, sums, row):  # type: ignore[no-untyped-def]
    """Ask for the memory of an entity's row, or of one beside it, before it is needed."""
    _ask(keys.ctypes.data + row * keys.itemsize)
    size = sums.shape[1] * sums.itemsize
    for line in range(0, size, LINE):
        _ask(sums.ctypes.data + row * size + line)


@compiled
def _ask(address):  # type: ignore[no-untyped-def]
    prefetch(address)  # type: ignore[call-arg]


@compiled
def _describe_merchant(sums, row, total, scales, log_amount, out):  # type: ignore[no-untyped-def]
    """The features of a merchant, in the order of PROFILE_FEATURES; a sum below 0, of labels taken back, is 0."""
    if row < 0 or sums[row, _T30] <= 0 or total[_T30] <= 0:
        out[:] = NEUTRAL
        return
    t1, t7, t30 = sums[row, _T1] * scales[_T1], sums[row, _T7] * scales[_T7], sums[row, _T30] * scales[_T30]
    frauds = max(sums[row, _F7], 0) * scales[_F7]
    out[0] = _risk(max(sums[row, _F1], 0) * scales[_F1], t1, total[_F1], total[_T1])
    out[1] = _risk(frauds, t7, total[_F7], total[_T7])
    out[2] = _risk(max(sums[row, _F30], 0) * scales[_F30], t30, total[_F30], total[_T30])
    out[3] = frauds
    out[4] = math.log1p(t30)
    out[5] = _activity(t1, t30, total)
    out[6] = _burst(sums[row, _N1] * scales[_N1], t1, sums[row, _N30] * scales[_N30], t30, total)
    out[7] = _deviation(log_amount, t30, sums[row, _A30] * scales[_A30], sums[row, _Q30] * scales[_Q30], total)


@compiled
def _describe_category(sums, row, total, scales, log_amount, out):  # type: ignore[no-untyped-def]
    """The same of a category."""
    if row < 0 or sums[row, _T30] <= 0 or total[_T30] <= 0:
        out[:] = NEUTRAL
        return
    t1, t30 = sums[row, _T1] * scales[_T1], sums[row, _T30] * scales[_T30]
    out[0] = _risk(max(sums[row, _F30], 0) * scales[_F30], t30, total[_F30], total[_T30])
    out[1] = _activity(t1, t30, total)
    out[2] = _burst(sums[row, _N1] * scales[_N1], t1, sums[row, _N30] * scales[_N30], t30, total)
    out[3] = _deviation(log_amount, t30, sums[row, _A30] * scales[_A30], sums[row, _Q30] * scales[_Q30], total)


@compiled
def _activity(t1, t30, total):  # type: ignore[no-untyped-def]
    """The log of the transactions of a day against those that its 30 days let expect, as all traffic went."""
    return math.log((t1 + _SEEN) / (t30 * total[_T1] / total[_T30] + _SEEN))


@compiled
def _burst(n1, t1, n30, t30, total):  # type: ignore[no-untyped-def]
    """The log of the newcomers of a day against those that its own 30 days let expect; 0 where they are fewer."""
    usual_1 = (total[_N1] + 1.0) / (total[_T1] + 1.0)
    usual_30 = (total[_N30] + 1.0) / (total[_T30] + 1.0)
    share = (n30 + _SEEN * usual_30) / (t30 + _SEEN) * usual_1 / usual_30
    return max(math.log((n1 + _SEEN) / (t1 * share + _SEEN)), 0.0)


@compiled
def _risk(frauds, transactions, all_frauds, all_transactions):  # type: ignore[no-untyped-def]
    """The log of how many times the frauds that are usual for so many transactions: 0 where nothing is known."""
    if all_transactions <= 0:
        return 0.0
    expected = transactions * max(all_frauds, 0.0) / all_transactions
    return math.log((frauds + _EXPECTED) / (expected + _EXPECTED))


@compiled
def _deviation(log_amount, transactions, amounts, squares, total):  # type: ignore[no-untyped-def]
    """The log amount against the entity's mean, in its deviations; where few are known, both are near those of all traffic."""
    known = transactions + _SEEN
    mean = (amounts + _SEEN * total[_A30] / total[_T30]) / known
    square = (squares + _SEEN * total[_Q30] / total[_T30]) / known
    deviation = math.sqrt(max(square - mean * mean, 0.0))
    step = min(log_amount * AMOUNT_STEPS, LARGEST_STEP)
    return (step - mean) / max(deviation, _LEAST_DEVIATION)
