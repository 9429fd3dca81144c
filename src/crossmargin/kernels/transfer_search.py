"""How many contracts of one future to move from one margin pot into another: exact, on whole contracts.

The short pot scans: the largest of sixteen losses, at least 0. The long pot takes the weighted means of the
worst scenarios of its parts, at least 0. The sum of both is convex and piecewise linear in the contracts
moved, and a slope comes with every value: of the scan, the loss that is largest; of a tail, the mean of the
future's results in the worst scenarios.

Cost: a value is one pass over the scenarios and their tails, about two microseconds for two thousand
scenarios in float64. The bracket of the minimum is cut in turn where the tangents of its ends meet and in
the middle: a dozen values for a hundred contracts.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numba import njit

from crossmargin.kernels.tail_means import (
    Scratch,
    mean_loss,
    tail_mean_numpy,
    tail_scratch,
    worst_scenarios,
)

__all__ = [
    "Line",
    "Measure",
    "Memory",
    "line_search",
    "line_search_numpy",
    "line_value_numpy",
    "scan_loss",
    "search_memory",
    "tail_loss",
]

Measure = tuple[Int64[np.ndarray, "parts 2"], Int64[np.ndarray, " parts"], Float64[np.ndarray, " parts"]]
"""Of the long pot: bounds of the parts, scenarios in their tails, weights."""
Line = tuple[
    Float64[np.ndarray, " 16"],
    Float64[np.ndarray, " 16"],
    Float64[np.ndarray, " columns"],
    Float64[np.ndarray, " columns"],
]
"""Before anything is moved: losses of the short pot, those that go with one contract; gains of the long pot
by scenario, those that come with one contract."""
Memory = tuple[
    Float64[np.ndarray, " columns"], Float64[np.ndarray, " tail"], Int32[np.ndarray, " tail"], Scratch
]
"""What a search works in: results, worst results, their scenarios."""


@njit(cache=True, error_model="numpy")
def search_memory(columns: int, tail_counts: Int64[np.ndarray, " parts"]) -> Memory:
    """Return what one search at a time works in."""
    values = np.empty(columns)
    largest = tail_counts.max()
    return values, np.empty(largest), np.empty(largest, np.int32), tail_scratch(values)


@njit(cache=True, error_model="numpy")
def scan_loss(
    short: Float64[np.ndarray, " 16"], losses: Float64[np.ndarray, " 16"], moved: float
) -> tuple[float, float]:
    """Return the largest loss of what is left in the short pot, at least 0, and its slope a contract."""
    largest, slope = 0.0, 0.0
    for scenario in range(short.size):
        loss = short[scenario] - moved * losses[scenario]
        if loss > largest:
            largest, slope = loss, -losses[scenario]
    return largest, slope


@njit(cache=True, error_model="numpy")
def tail_loss(
    base: Float64[np.ndarray, " columns"],
    row: Float64[np.ndarray, " columns"],
    moved: float,
    measure: Measure,
    memory: Memory,
) -> tuple[float, float]:
    """Return the requirement of the long pot, at least 0, and its slope a contract; NaN where a result is."""
    bounds, tail_counts, weights = measure
    values, worst, ids, scratch = memory
    for column in range(values.size):
        values[column] = base[column] + moved * row[column]
    total, slope = 0.0, 0.0
    for part in range(tail_counts.size):
        count, first = tail_counts[part], bounds[part, 0]
        if not worst_scenarios(values, first, bounds[part, 1], worst[:count], ids, scratch):
            return np.nan, np.nan
        total += weights[part] * mean_loss(worst[:count])
        gained = 0.0
        for place in range(count):
            gained += row[first + ids[place]]
        slope -= weights[part] * (gained / count)
    return (total, slope) if total > 0.0 else (0.0, 0.0)


@njit(cache=True, error_model="numpy")
def _at(line: Line, moved: int, measure: Measure, memory: Memory) -> tuple[float, float]:
    """Return requirement and slope of both pots with so many contracts moved."""
    short, losses, base, row = line
    scan, scan_slope = scan_loss(short, losses, float(moved))
    tail, tail_slope = tail_loss(base, row, float(moved), measure, memory)
    return scan + tail, scan_slope + tail_slope


@njit(cache=True, error_model="numpy")
def line_search(
    line: Line, contracts: int, measure: Measure, memory: Memory, tie: float
) -> tuple[int, float, float]:
    """Return the contracts of one future to move at which both pots ask for least.

    Parameters
    ----------
    line : tuple of ndarray of float64
        See ``Line``; finite. A contract is one of the account's side.
    contracts : int
        How many may be moved, at least 0.
    measure : tuple of ndarray
        See ``Measure``; weights at least 0.
    memory : tuple of ndarray
        From ``search_memory``.
    tie : float
        Of values that are no further than this from the least the one with fewest contracts is taken.

    Returns
    -------
    moved : int
        0 to ``contracts``.
    least : float
        The least value, on whole contracts.
    lower : float
        What no fraction of a contract is below.
    """
    first, first_slope = _at(line, 0, measure, memory)
    if contracts == 0 or first_slope >= 0.0:
        return 0, first, first
    last, last_slope = _at(line, contracts, measure, memory)
    if last_slope <= 0.0:
        return _fewest(line, contracts, last, first, measure, memory, tie), last, last
    low, low_value, low_slope = 0, first, first_slope
    high, high_value, high_slope = contracts, last, last_slope
    halve = False
    while high - low > 1:
        meet = low + (high_value - low_value - high_slope * (high - low)) / (low_slope - high_slope)
        middle = (low + high) // 2 if halve else int(min(max(np.floor(meet), low + 1), high - 1))
        halve = not halve
        value, slope = _at(line, middle, measure, memory)
        if slope < 0.0:
            low, low_value, low_slope = middle, value, slope
        else:
            high, high_value, high_slope = middle, value, slope
    meet = (high_value - low_value - high_slope * (high - low)) / (low_slope - high_slope)
    best, least = (low, low_value) if low_value <= high_value else (high, high_value)
    lower = min(low_value + low_slope * min(max(meet, 0.0), 1.0), least)
    return _fewest(line, best, least, first, measure, memory, tie), least, lower


@njit(cache=True, error_model="numpy")
def _fewest(
    line: Line, best: int, least: float, first: float, measure: Measure, memory: Memory, tie: float
) -> int:
    """Return the fewest contracts, up to the best, whose value is as good as the least."""
    if first <= least + tie:
        return 0
    low, high, middle = 0, best, best - 1
    while high - low > 1:
        if _at(line, middle, measure, memory)[0] <= least + tie:
            high = middle
        else:
            low = middle
        middle = (low + high) // 2
    return high


def line_value_numpy(line: Line, moved: int, measure: Measure) -> float:
    """Return the requirement of both pots with so many contracts moved, readably: the reference in tests."""
    short, losses, base, row = line
    values = base + moved * row
    tails = sum(
        weight * tail_mean_numpy(values[start:stop], count)
        for (start, stop), count, weight in zip(*measure, strict=True)
    )
    return float(np.max(short - moved * losses, initial=0.0) + max(tails, 0.0))


def line_search_numpy(line: Line, contracts: int, measure: Measure, tie: float) -> tuple[int, float]:
    """Return what ``line_search`` returns first, by trying every number of contracts: for tests."""
    values = np.array([line_value_numpy(line, moved, measure) for moved in range(contracts + 1)])
    return int(np.flatnonzero(values <= values.min() + tie)[0]), float(values.min())
