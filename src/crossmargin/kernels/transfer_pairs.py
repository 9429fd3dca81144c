"""How many contracts of one or two futures to move into another pot, for many accounts: exact.

Two futures: for each number of the first the second is searched along a line, which also tells what no
fraction of its contracts is below. That bound is close to a convex function of the first number. Numbers are
tried outwards from where it is least, and a direction ends where the bound is above the best value found:
by convexity it stays above it. One thread owns an account; threads change no bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numba import njit, prange

from crossmargin.kernels.transfer_search import (
    Line,
    Measure,
    Memory,
    line_search,
    line_value_numpy,
    scan_loss,
    search_memory,
    tail_loss,
)

__all__ = [
    "SCENARIOS",
    "Plane",
    "pair_transfers",
    "pair_transfers_numpy",
    "plane_search",
    "plane_search_numpy",
]

SCENARIOS: Final = 16

Plane = tuple[
    Float64[np.ndarray, "2 16"],
    Float64[np.ndarray, "2 16"],
    Float64[np.ndarray, " columns"],
    Float64[np.ndarray, "2 columns"],
    bool,
]
"""As a ``Line``, for two futures; and whether both are scanned together, in one sum of losses."""


@njit(cache=True, error_model="numpy")
def _along_second(
    plane: Plane, first: int, contracts: int, measure: Measure, memory: Memory, tie: float
) -> tuple[int, float, float]:
    """Return what ``line_search`` does for the second future, with so many contracts of the first moved."""
    short, losses, base, rows, together = plane
    moved_base = base + first * rows[0]
    if together:
        line: Line = (short[1] - first * losses[0], losses[1], moved_base, rows[1])
        return line_search(line, contracts, measure, memory, tie)
    own, _ = scan_loss(short[0], losses[0], float(first))
    line = (short[1], losses[1], moved_base, rows[1])
    second, least, lower = line_search(line, contracts, measure, memory, tie)
    return second, own + least, own + lower


@njit(cache=True, error_model="numpy")
def plane_search(
    plane: Plane, contracts: Int64[np.ndarray, " 2"], measure: Measure, memory: Memory, tie: float
) -> tuple[int, int, float]:
    """Return the contracts of two futures to move at which both pots ask for least, and the least value.

    Of values that are no further than ``tie`` from the least the one with fewest contracts is taken, then
    the one with most of the first future. Other arguments as ``line_search``.
    """
    count = contracts[0] + 1
    seconds = np.full(count, -1, np.int64)
    least, lower = np.full(count, np.inf), np.full(count, np.inf)
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        for first in (middle, middle + 1):
            if seconds[first] < 0:
                found = _along_second(plane, first, contracts[1], measure, memory, tie)
                seconds[first], least[first], lower[first] = found
        if lower[middle] <= lower[middle + 1]:
            high = middle
        else:
            low = middle + 1
    best = least.min()
    for step in (1, -1):
        first = low
        while 0 <= first < count:
            if seconds[first] < 0:
                found = _along_second(plane, first, contracts[1], measure, memory, tie)
                seconds[first], least[first], lower[first] = found
                best = min(best, least[first])
            if lower[first] > best + tie:
                break
            first += step
    return _fewest_of_two(seconds, least, best, tie)


@njit(cache=True, error_model="numpy")
def _fewest_of_two(
    seconds: Int64[np.ndarray, " firsts"], least: Float64[np.ndarray, " firsts"], best: float, tie: float
) -> tuple[int, int, float]:
    """Return the numbers of both futures with fewest contracts among the best, and the least value."""
    chosen, fewest = 0, -1
    for first in range(seconds.size):
        contracts = first + seconds[first]
        if least[first] <= best + tie and (fewest < 0 or contracts <= fewest):
            chosen, fewest = first, contracts
    return chosen, seconds[chosen], best


@njit(cache=True, parallel=True, error_model="numpy")
def pair_transfers(
    base: Float[np.ndarray, "accounts columns"],
    gains: Float64[np.ndarray, "futures columns"],
    futures: Int64[np.ndarray, "accounts 2"],
    quantities: Int64[np.ndarray, "accounts 2"],
    short: Float64[np.ndarray, "accounts 2 16"],
    losses: Float64[np.ndarray, "futures 16"],
    together: Bool[np.ndarray, " accounts"],
    measure: Measure,
    ties: Float64[np.ndarray, " accounts"],
    moved: Int64[np.ndarray, "accounts 2"],
    long: Float64[np.ndarray, " accounts"],
) -> None:
    """Fill the contracts of one or two futures that each account moves out of its short pot.

    Parameters
    ----------
    base : ndarray of float32 or float64, shape (accounts, columns)
        Gains of what the long pot holds already, by scenario.
    gains : ndarray of float64, shape (futures, columns)
        Gains of one long contract.
    futures : ndarray of int64, shape (accounts, 2)
        Rows of ``gains`` and ``losses``; the second is not read where its quantity is 0.
    quantities : ndarray of int64, shape (accounts, 2)
        Contracts, + long, − short; 0 for none.
    short : ndarray of float64, shape (accounts, 2, 16)
        Losses of all that is scanned together with each future, the future itself included.
    losses : ndarray of float64, shape (futures, 16)
        Loss of one long contract.
    together : ndarray of bool, shape (accounts,)
        Whether both futures are scanned together; both rows of ``short`` are the same then.
    measure : tuple of ndarray
        See ``Measure``.
    ties : ndarray of float64, shape (accounts,)
        See ``line_search``.
    moved : ndarray of int64, shape (accounts, 2)
        Filled: of the sign of ``quantities``.
    long : ndarray of float64, shape (accounts,)
        Filled: what the long pot then asks for.
    """
    for account in prange(quantities.shape[0]):
        memory = search_memory(base.shape[1], measure[1])
        side = np.sign(quantities[account])
        contracts = np.abs(quantities[account])
        rows, lost = np.zeros((2, base.shape[1])), np.zeros((2, SCENARIOS))
        for place in range(2):
            if contracts[place] > 0:
                rows[place] = side[place] * gains[futures[account, place]]
                lost[place] = side[place] * losses[futures[account, place]]
        own = base[account].astype(np.float64)
        if contracts[1] == 0:
            line = (short[account, 0], lost[0], own, rows[0])
            moved[account, 0] = line_search(line, contracts[0], measure, memory, ties[account])[0]
        else:
            plane = (short[account], lost, own, rows, together[account])
            found = plane_search(plane, contracts, measure, memory, ties[account])
            moved[account, 0], moved[account, 1] = found[0], found[1]
        after = own + moved[account, 0] * rows[0]
        long[account] = tail_loss(after, rows[1], float(moved[account, 1]), measure, memory)[0]
        moved[account] *= side


def plane_search_numpy(
    plane: Plane, contracts: Int64[np.ndarray, " 2"], measure: Measure, tie: float
) -> tuple[int, int, float]:
    """Return what ``plane_search`` returns, by trying every pair of numbers: the reference in tests."""
    short, losses, base, rows, together = plane
    values = np.empty(contracts + 1)
    for first, second in np.ndindex(*values.shape):
        own = 0.0 if together else np.max(short[0] - first * losses[0], initial=0.0)
        left = short[1] - first * losses[0] if together else short[1]
        line = (left, losses[1], base + first * rows[0], rows[1])
        values[first, second] = own + line_value_numpy(line, second, measure)
    best = values.min()
    found = np.argwhere(values <= best + tie)
    first, second = min(found.tolist(), key=lambda pair: (sum(pair), -pair[0]))
    return first, second, float(best)


def pair_transfers_numpy(
    base: Float[np.ndarray, "accounts columns"],
    gains: Float64[np.ndarray, "futures columns"],
    futures: Int64[np.ndarray, "accounts 2"],
    quantities: Int64[np.ndarray, "accounts 2"],
    short: Float64[np.ndarray, "accounts 2 16"],
    losses: Float64[np.ndarray, "futures 16"],
    together: Bool[np.ndarray, " accounts"],
    measure: Measure,
    ties: Float64[np.ndarray, " accounts"],
    moved: Int64[np.ndarray, "accounts 2"],
    long: Float64[np.ndarray, " accounts"],
) -> None:
    """Do what ``pair_transfers`` does, readably: the reference in tests."""
    nothing = np.zeros(SCENARIOS)
    for account, held in enumerate(quantities):
        side = np.sign(held)[:, None]
        rows, lost = side * gains[futures[account]], side * losses[futures[account]]
        own = base[account].astype(np.float64)
        plane = (short[account], lost, own, rows, bool(together[account]))
        found = plane_search_numpy(plane, np.abs(held), measure, ties[account])
        moved[account] = np.sign(held) * found[:2]
        after = own + moved[account] @ gains[futures[account]]
        long[account] = line_value_numpy((nothing, nothing, after, after), 0, measure)
