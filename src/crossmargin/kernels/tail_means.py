"""The worst scenarios of one portfolio: their order, expected shortfall and value-at-risk.

Expected shortfall is the discrete one, the mean of the k worst whole scenarios, as a loss (positive = loss)
of results that are gain-positive. The k worst are put in ascending order, equal results by scenario number,
and added in float64 in that order: the result does not depend on how they were found.

Found in one pass over the results and a few over little: 64 minima, each of every 64th result, hold k
different results, so that the k-th smallest minimum bounds the k-th smallest result; few results lie below
it, and each is placed by counting the smaller ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64
from numba import njit

from crossmargin.kernels.lanes import LANES, at_most_bits, below_bits, bit_count, lane_minima, lowest_bit

__all__ = [
    "Scratch",
    "check_parts",
    "mean_loss",
    "tail_mean",
    "tail_mean_numpy",
    "tail_scenarios",
    "tail_scenarios_numpy",
    "tail_scratch",
    "value_at_risk",
    "worst_scenarios",
]

SMALL_TAIL_MAX: Final = LANES // 2
"""From more scenarios than this the bound of the minima lets too many results through."""
SMALL_PART: Final = 2 * LANES

Scratch = tuple[
    Float[np.ndarray, " lanes"],
    Float[np.ndarray, " lanes"],
    Int32[np.ndarray, " lanes"],
]
"""Minima, results below the bound and their scenario numbers."""


@njit(cache=True, error_model="numpy")
def tail_scratch(values: Float[np.ndarray, " scenarios"]) -> Scratch:
    """Return the memory that ``worst_scenarios`` works in, for results of the type of ``values``."""
    return (
        np.empty(LANES, values.dtype),
        np.empty(LANES, values.dtype),
        np.empty(LANES, np.int32),
    )


@njit(cache=True, error_model="numpy")
def _bound(minima: Float[np.ndarray, " lanes"], count: int) -> float:
    """Return the ``count``-th smallest of the minima: the least one with so many at most as large."""
    candidates = ~np.uint64(0)
    bound = minima.dtype.type(np.inf)
    while candidates != 0:
        lane = lowest_bit(candidates)
        value = minima[lane]
        others = at_most_bits(minima, 0, value)
        if bit_count(others) < count:
            candidates &= ~others
        else:
            bound = value
            candidates &= below_bits(minima, 0, value)
    return bound


@njit(cache=True, error_model="numpy")
def _collect(
    values: Float[np.ndarray, " scenarios"],
    start: int,
    stop: int,
    bound: float,
    found: Float[np.ndarray, " lanes"],
    numbers: Int32[np.ndarray, " lanes"],
) -> int:
    """Fill the results of at most ``bound``, by scenario number; return how many, −1 where too many."""
    count = 0
    for block in range(start, stop, LANES):
        first = min(block, stop - LANES)  # the last block begins early; what it repeats is cut off
        bits = at_most_bits(values, first, bound) >> np.uint64(block - first) << np.uint64(block - first)
        while bits != 0:
            if count == LANES:
                return -1
            scenario = first + lowest_bit(bits)
            found[count] = values[scenario]
            numbers[count] = scenario - start
            count += 1
            bits &= bits - np.uint64(1)
    return count


@njit(cache=True, error_model="numpy")
def _place(
    found: Float[np.ndarray, " lanes"],
    numbers: Int32[np.ndarray, " lanes"],
    count: int,
    worst: Float[np.ndarray, " tail"],
    ids: Int32[np.ndarray, " tail"],
) -> None:
    """Put each result where the number of smaller ones, and of equal ones before it, says."""
    found[count:] = np.inf
    for i in range(count):
        smaller = below_bits(found, 0, found[i])
        equal = at_most_bits(found, 0, found[i]) ^ smaller
        before = (np.uint64(1) << np.uint64(i)) - np.uint64(1)
        rank = bit_count(smaller) + bit_count(equal & before)
        if rank < worst.size:
            worst[rank] = found[i]
            ids[rank] = numbers[i]


@njit(cache=True, error_model="numpy")
def _insert(
    values: Float[np.ndarray, " scenarios"],
    start: int,
    stop: int,
    worst: Float[np.ndarray, " tail"],
    ids: Int32[np.ndarray, " tail"],
) -> bool:
    """Fill the worst by insertion, where they are many or tied; tell whether a result is not finite."""
    last = worst.size - 1
    worst[:] = np.inf
    bad = False
    for scenario in range(start, stop):
        value = values[scenario]
        bad = bad or not np.isfinite(value)
        if value < worst[last]:
            slot = last
            while slot > 0 and worst[slot - 1] > value:
                worst[slot] = worst[slot - 1]
                ids[slot] = ids[slot - 1]
                slot -= 1
            worst[slot] = value
            ids[slot] = scenario - start
    return bad


@njit(cache=True, error_model="numpy")
def worst_scenarios(
    values: Float[np.ndarray, " scenarios"],
    start: int,
    stop: int,
    worst: Float[np.ndarray, " tail"],
    ids: Int32[np.ndarray, " tail"],
    scratch: Scratch,
) -> bool:
    """Fill the worst results from scenario ``start`` up to ``stop``; tell whether all results are finite.

    Parameters
    ----------
    values : ndarray, shape (scenarios,)
        Results, gain-positive.
    start, stop : int
        The scenarios that count; at least as many as ``worst`` holds.
    worst : ndarray, shape (tail,)
        Filled: the smallest results in ascending order.
    ids : ndarray of int32, shape (tail,)
        Filled: their numbers from 0 at ``start``; equal results stand in the order of their numbers.
    scratch : tuple
        From ``tail_scratch``.

    Returns
    -------
    bool
        False where a result is NaN or infinite; ``worst`` and ``ids`` mean nothing then.
    """
    minima, found, numbers = scratch
    if worst.size > SMALL_TAIL_MAX or stop - start < SMALL_PART:
        return not _insert(values, start, stop, worst, ids)
    if lane_minima(values, start, stop, minima) != 0:
        return False
    count = _collect(values, start, stop, _bound(minima, worst.size), found, numbers)
    if count < 0:
        return not _insert(values, start, stop, worst, ids)
    _place(found, numbers, count, worst, ids)
    return True


@njit(cache=True, error_model="numpy")
def mean_loss(worst: Float[np.ndarray, " tail"]) -> float:
    """Return the mean of results as a loss, added in float64 in the order given."""
    total = 0.0
    for value in worst:
        total += np.float64(value)
    return 0.0 - total / worst.size


def check_parts(
    parts: Int64[np.ndarray, "parts 2"], tail_counts: Int64[np.ndarray, " parts"], columns: int
) -> None:
    """Assert what would make a kernel read beyond a row of ``columns`` results."""
    assert np.all(parts[:, 0] >= 0), "parts begin within the row"
    assert np.all(parts[:, 1] <= columns), "parts end within the row"
    assert np.all(tail_counts >= 1), "a tail holds a scenario"
    assert np.all(tail_counts <= parts[:, 1] - parts[:, 0]), "a tail holds no more scenarios than its part"


@njit(cache=True, error_model="numpy")
def _worst(
    values: Float[np.ndarray, " scenarios"], count: int
) -> tuple[bool, Float[np.ndarray, " tail"], Int32[np.ndarray, " tail"]]:
    worst, ids = np.empty(count, values.dtype), np.empty(count, np.int32)
    fine = worst_scenarios(values, 0, values.size, worst, ids, tail_scratch(values))
    return fine, worst, ids


def _checked(
    values: Float[np.ndarray, " scenarios"], count: int
) -> tuple[Float[np.ndarray, " tail"], Int32[np.ndarray, " tail"]]:
    if not 1 <= count <= values.size:
        raise ValueError(f"a tail of {count} of {values.size} scenarios")
    fine, worst, ids = _worst(values, count)
    if not fine:
        raise ValueError("a scenario result is NaN or infinite")
    return worst, ids


def tail_mean(values: Float[np.ndarray, " scenarios"], count: int) -> float:
    """Return the expected shortfall: the mean of the ``count`` worst results, as a loss.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (scenarios,)
        Results, gain-positive.
    count : int
        Scenarios in the tail, 1 to all; see ``core.tails.tail_count``.

    Raises
    ------
    ValueError
        If a result is NaN or infinite, or ``count`` is out of range.
    """
    return mean_loss(_checked(values, count)[0])


def tail_scenarios(values: Float[np.ndarray, " scenarios"], count: int) -> Int32[np.ndarray, " tail"]:
    """Return the numbers of the ``count`` worst scenarios, worst first, equal ones by number.

    Arguments and errors as ``tail_mean``.
    """
    return _checked(values, count)[1]


def value_at_risk(values: Float[np.ndarray, " scenarios"], count: int) -> float:
    """Return the ``count``-th worst result as a loss. Arguments and errors as ``tail_mean``."""
    return 0.0 - float(_checked(values, count)[0][-1])


def tail_scenarios_numpy(values: Float[np.ndarray, " scenarios"], count: int) -> Int32[np.ndarray, " tail"]:
    """Do what ``tail_scenarios`` does, readably: the reference in tests."""
    return np.argsort(values, kind="stable")[:count].astype(np.int32)


def tail_mean_numpy(values: Float[np.ndarray, " scenarios"], count: int) -> float:
    """Do what ``tail_mean`` does, readably: the reference in tests."""
    worst: Float64[np.ndarray, " tail"] = np.sort(values)[:count].astype(np.float64)
    return 0.0 - float(np.cumsum(worst)[-1]) / count  # cumsum adds in order, sum does not
