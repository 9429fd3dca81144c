"""Scenario profit and loss of many portfolios, and both of its tails, in one pass.

Cost: positions × scenarios products and additions over ``returns`` rows of scenarios × 8 bytes. A row
is read once per position that holds it, four at a time; the accumulator (scenarios × 8 bytes) stays in
the first cache. Rounding costs nothing beside the memory reads. One thread owns a portfolio and adds its positions in the order given, so that the number of threads
changes no bit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numba import njit, prange

__all__ = ["portfolio_tails", "portfolio_tails_numpy", "scenario_pnl", "scenario_pnl_numpy"]

LIFT = 1.0 + 2.0**-50  # a decimal tie counts as one: see core.rounding


@njit(cache=True, error_model="numpy")
def _add_one(
    pnl: Float64[np.ndarray, " scenarios"],
    row: Float64[np.ndarray, " scenarios"],
    value: float,
    rounded: bool,
) -> None:
    if rounded:
        for s in range(pnl.size):
            pnl[s] += np.rint(value * row[s])
    else:
        for s in range(pnl.size):
            pnl[s] += value * row[s]


@njit(cache=True, error_model="numpy")
def _add_four(
    pnl: Float64[np.ndarray, " scenarios"],
    rows: tuple[Float64[np.ndarray, " scenarios"], ...],
    values: tuple[float, ...],
    rounded: bool,
) -> None:
    """Add four rows in one pass: four streams from memory at once, and a quarter of the trips to ``pnl``."""
    row_0, row_1, row_2, row_3 = rows
    v_0, v_1, v_2, v_3 = values
    if rounded:
        for s in range(pnl.size):
            first = pnl[s] + np.rint(v_0 * row_0[s]) + np.rint(v_1 * row_1[s])
            pnl[s] = first + np.rint(v_2 * row_2[s]) + np.rint(v_3 * row_3[s])
    else:
        for s in range(pnl.size):
            pnl[s] = pnl[s] + v_0 * row_0[s] + v_1 * row_1[s] + v_2 * row_2[s] + v_3 * row_3[s]


@njit(cache=True, error_model="numpy")
def scenario_pnl(
    rows: Int32[np.ndarray, " positions"],
    market_values: Float64[np.ndarray, " positions"],
    returns: Float64[np.ndarray, "instruments scenarios"],
    rounded: bool,
) -> Float64[np.ndarray, " scenarios"]:
    """Profit and loss of one portfolio in every scenario, gain-positive; arguments as ``portfolio_tails``."""
    pnl = np.zeros(returns.shape[1])
    values = market_values * LIFT if rounded else market_values
    fours = rows.size - rows.size % 4
    for i in range(0, fours, 4):
        four_rows = (returns[rows[i]], returns[rows[i + 1]], returns[rows[i + 2]], returns[rows[i + 3]])
        _add_four(pnl, four_rows, (values[i], values[i + 1], values[i + 2], values[i + 3]), rounded)
    for i in range(fours, rows.size):
        _add_one(pnl, returns[rows[i]], values[i], rounded)
    return pnl


def scenario_pnl_numpy(
    rows: Int32[np.ndarray, " positions"],
    market_values: Float64[np.ndarray, " positions"],
    returns: Float64[np.ndarray, "instruments scenarios"],
    rounded: bool,
) -> Float64[np.ndarray, " scenarios"]:
    """Do what ``scenario_pnl`` does, readably: the reference in tests."""
    pnl = np.zeros(returns.shape[1])
    for row, market_value in zip(rows, market_values, strict=True):
        pnl += np.rint(market_value * LIFT * returns[row]) if rounded else market_value * returns[row]
    return pnl


@njit(cache=True, error_model="numpy")
def _lowest(
    pnl: Float64[np.ndarray, " scenarios"],
    lowest: Float64[np.ndarray, " tail"],
    ids: Int32[np.ndarray, " tail"],
) -> None:
    """Fill ``lowest`` and ``ids`` with the smallest values, ascending; equal values by scenario number."""
    count = lowest.size
    lowest[:] = np.inf
    for s in range(pnl.size):
        value = pnl[s]
        if value < lowest[count - 1]:
            slot = count - 1
            while slot > 0 and lowest[slot - 1] > value:
                lowest[slot] = lowest[slot - 1]
                ids[slot] = ids[slot - 1]
                slot -= 1
            lowest[slot] = value
            ids[slot] = s


@njit(cache=True, parallel=True, error_model="numpy")
def portfolio_tails(
    starts: Int64[np.ndarray, " portfolios+1"],
    rows: Int32[np.ndarray, " positions"],
    market_values: Float64[np.ndarray, " positions"],
    returns: Float64[np.ndarray, "instruments scenarios"],
    split: int,
    tail_values: tuple[Float64[np.ndarray, "portfolios tail"], Float64[np.ndarray, "portfolios tail"]],
    tail_ids: tuple[Int32[np.ndarray, "portfolios tail"], Int32[np.ndarray, "portfolios tail"]],
    rounded: bool,
) -> None:
    """Fill the worst scenario results of each portfolio, for scenarios before and from ``split``.

    Parameters
    ----------
    starts : ndarray of int64, shape (portfolios + 1,)
        Positions ``starts[p]`` up to ``starts[p + 1]`` belong to portfolio p.
    rows : ndarray of int32, shape (positions,)
        Row of ``returns`` of each position.
    market_values : ndarray of float64, shape (positions,)
        Signed market value, at most 1e12 in size.
    returns : ndarray of float64, shape (instruments, scenarios)
        Returns, gain-positive for a long; finite, at most 100 in size.
    split : int
        First scenario of the second measure.
    tail_values, tail_ids : pairs of ndarray, shape (portfolios, tail count)
        Filled: profit and loss (gain-positive) of the worst scenarios, worst first, and their numbers
        from 0 within the measure; equal results stand in the order of their numbers.
    rounded : bool
        Round market value × return of each position to the nearest integer, a half away from zero.
    """
    for portfolio in prange(starts.size - 1):
        held = slice(starts[portfolio], starts[portfolio + 1])
        pnl = scenario_pnl(rows[held], market_values[held], returns, rounded)
        _lowest(pnl[:split], tail_values[0][portfolio], tail_ids[0][portfolio])
        _lowest(pnl[split:], tail_values[1][portfolio], tail_ids[1][portfolio])


def portfolio_tails_numpy(
    starts: Int64[np.ndarray, " portfolios+1"],
    rows: Int32[np.ndarray, " positions"],
    market_values: Float64[np.ndarray, " positions"],
    returns: Float64[np.ndarray, "instruments scenarios"],
    split: int,
    tail_values: tuple[Float64[np.ndarray, "portfolios tail"], Float64[np.ndarray, "portfolios tail"]],
    tail_ids: tuple[Int32[np.ndarray, "portfolios tail"], Int32[np.ndarray, "portfolios tail"]],
    rounded: bool,
) -> None:
    """Do what ``portfolio_tails`` does, readably: the reference in tests."""
    for portfolio, (start, stop) in enumerate(pairwise(starts)):
        pnl = scenario_pnl_numpy(rows[start:stop], market_values[start:stop], returns, rounded)
        for values, ids, part in zip(tail_values, tail_ids, np.split(pnl, [split]), strict=True):
            order = np.argsort(part, kind="stable")[: values.shape[1]]
            values[portfolio], ids[portfolio] = part[order], order
