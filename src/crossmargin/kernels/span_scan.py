"""SPAN scanning: sixteen sums of many portfolios, and what follows from one portfolio's sums.

Cost: positions × 16 products and additions; a row of losses is 128 bytes. One thread owns a portfolio
and adds its positions in the order given.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numba import njit, prange

__all__ = ["price_risk", "scan_sums", "scan_sums_numpy", "worst_scenario"]

SCENARIOS = 16


@njit(cache=True, parallel=True, error_model="numpy")
def scan_sums(
    starts: Int64[np.ndarray, " portfolios+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float64[np.ndarray, " positions"],
    losses: Float64[np.ndarray, "series 16"],
) -> Float64[np.ndarray, "portfolios 16"]:
    """Sum quantity × loss of one long contract over each portfolio, by scenario.

    Parameters
    ----------
    starts : ndarray of int64, shape (portfolios + 1,)
        Positions ``starts[p]`` up to ``starts[p + 1]`` belong to portfolio p.
    rows : ndarray of int32, shape (positions,)
        Row of ``losses`` of each position.
    quantities : ndarray of float64, shape (positions,)
        Contracts, + long, − short.
    losses : ndarray of float64, shape (series, 16)
        Loss-positive, of one long contract.

    Returns
    -------
    ndarray of float64, shape (portfolios, 16)
        Loss-positive.
    """
    sums = np.zeros((starts.size - 1, SCENARIOS))
    for portfolio in prange(starts.size - 1):
        for position in range(starts[portfolio], starts[portfolio + 1]):
            for scenario in range(SCENARIOS):
                sums[portfolio, scenario] += quantities[position] * losses[rows[position], scenario]
    return sums


def scan_sums_numpy(
    starts: Int64[np.ndarray, " portfolios+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float64[np.ndarray, " positions"],
    losses: Float64[np.ndarray, "series 16"],
) -> Float64[np.ndarray, "portfolios 16"]:
    """Do what ``scan_sums`` does, readably: the reference in tests."""
    sums = np.zeros((starts.size - 1, SCENARIOS))
    owner = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    np.add.at(sums, owner, quantities[:, None] * losses[rows])
    return sums


@njit(cache=True, error_model="numpy")
def worst_scenario(sums: Float64[np.ndarray, " 16"]) -> int:
    """Return the scenario, from 0, with the largest loss; of equal ones the lowest number."""
    worst = 0
    for scenario in range(1, SCENARIOS):
        if sums[scenario] > sums[worst]:
            worst = scenario
    return worst


@njit(cache=True, error_model="numpy")
def price_risk(sums: Float64[np.ndarray, " 16"], paired: Int64[np.ndarray, " 16"]) -> float:
    """Return the part of the scan risk that is due to the price alone.

    The mean of the active scenario and its pair, less time risk, the mean of scenarios 1 and 2. Where no
    scenario loses, volatility risk is half of scenario 1 less scenario 2, which leaves minus scenario 1.
    """
    active = worst_scenario(sums)
    if sums[active] <= 0:
        return -sums[0]
    time_risk = (sums[0] + sums[1]) / 2
    return (sums[active] + sums[paired[active]]) / 2 - time_risk
