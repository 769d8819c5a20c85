"""The look-up of profiles, compiled: an entity's row by its key, and its features from its fading sums."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from ml.arrays import Hashes
from ml.compiling import compiled
from ml.features.prefetch import LINE, prefetch
from ml.features.profile_schema import AMOUNT_STEPS, CATEGORY, KINDS, LARGEST_STEP, MERCHANT, NEUTRAL, PROFILE_FEATURES
from ml.features.profile_schema import SUMS as _SUMS

_EACH: Final = len(PROFILE_FEATURES) // len(KINDS)
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
        _describe(sums, row, total, scales, log_amount[i], out[i, MERCHANT * _EACH : (MERCHANT + 1) * _EACH])
        row = _find(keys, begins, shift, category[i] ^ _CATEGORY_KEY) if category[i] != 0 else -1
        _describe(sums, row, total, scales, log_amount[i], out[i, CATEGORY * _EACH : (CATEGORY + 1) * _EACH])


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
def _describe(sums, row, total, scales, log_amount, out):  # type: ignore[no-untyped-def]
    """The features of one entity, in the order of PROFILE_FEATURES; a sum below 0, of labels taken back, is 0."""
    if row < 0 or sums[row, _T30] <= 0 or total[_T30] <= 0:
        out[:] = NEUTRAL
        return
    t1, t7, t30 = sums[row, _T1] * scales[_T1], sums[row, _T7] * scales[_T7], sums[row, _T30] * scales[_T30]
    out[0] = _risk(max(sums[row, _F1], 0) * scales[_F1], t1, max(total[_F1], 0.0), total[_T1])
    out[1] = _risk(max(sums[row, _F7], 0) * scales[_F7], t7, max(total[_F7], 0.0), total[_T7])
    out[2] = _risk(max(sums[row, _F30], 0) * scales[_F30], t30, max(total[_F30], 0.0), total[_T30])
    out[3] = math.log1p(t30)
    out[4] = math.log((t1 + _SEEN) / (t30 * total[_T1] / total[_T30] + _SEEN))
    n1, n30 = sums[row, _N1] * scales[_N1], sums[row, _N30] * scales[_N30]
    usual_1 = (total[_N1] + 1.0) / (total[_T1] + 1.0)
    usual_30 = (total[_N30] + 1.0) / (total[_T30] + 1.0)
    out[5] = math.log((n30 + _SEEN) / (t30 * usual_30 + _SEEN))
    share = (n30 + _SEEN * usual_30) / (t30 + _SEEN) * usual_1 / usual_30
    out[6] = math.log((n1 + _SEEN) / (t1 * share + _SEEN))
    out[7] = _deviation(log_amount, t30, sums[row, _A30] * scales[_A30], sums[row, _Q30] * scales[_Q30], total)


@compiled
def _risk(frauds, transactions, all_frauds, all_transactions):  # type: ignore[no-untyped-def]
    """The log of how many times the frauds that are usual for so many transactions: 0 where nothing is known."""
    if all_transactions <= 0:
        return 0.0
    expected = transactions * all_frauds / all_transactions
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
