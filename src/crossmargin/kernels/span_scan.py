"""SPAN scanning: sixteen sums of one portfolio, and what follows from them.

Cost: positions × 16 products and additions; a row of losses is 128 bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numba import njit

__all__ = ["add_losses", "price_risk", "scan_risk", "scan_sums_numpy", "worst_scenario"]

SCENARIOS = 16


@njit(cache=True, error_model="numpy", inline="always")
def add_losses(
    sums: Float64[np.ndarray, " 16"], contracts: float, losses: Float64[np.ndarray, " 16"]
) -> None:
    """Add contracts × loss of one long contract to the sums, by scenario; loss-positive."""
    for scenario in range(SCENARIOS):
        sums[scenario] += contracts * losses[scenario]


def scan_sums_numpy(
    starts: Int64[np.ndarray, " portfolios+1"],
    rows: Int32[np.ndarray, " positions"],
    contracts: Float64[np.ndarray, " positions"],
    losses: Float64[np.ndarray, "series 16"],
) -> Float64[np.ndarray, "portfolios 16"]:
    """Sum contracts × loss over each portfolio with ``add_losses``'s order of additions, readably: for tests."""
    sums = np.zeros((starts.size - 1, SCENARIOS))
    owner = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    np.add.at(sums, owner, contracts[:, None] * losses[rows])
    return sums


@njit(cache=True, error_model="numpy", inline="always")
def worst_scenario(sums: Float64[np.ndarray, " 16"]) -> int:
    """Return the scenario, from 0, with the largest loss; of equal ones the lowest number."""
    worst, largest = 0, sums[0]
    for scenario in range(1, SCENARIOS):
        largest = max(largest, sums[scenario])
    for scenario in range(SCENARIOS - 1, -1, -1):  # no branch that depends on a loss: those are guessed wrong
        worst = scenario if sums[scenario] == largest else worst
    return worst


@njit(cache=True, error_model="numpy", inline="always")
def scan_risk(sums: Float64[np.ndarray, " 16"]) -> float:
    """Return the largest loss, at least 0; NaN where a sum is NaN or infinities of both signs meet."""
    largest, total = sums[0], sums[0]
    for scenario in range(1, SCENARIOS):
        largest = max(largest, sums[scenario])
        total += sums[scenario]
    return max(largest, 0.0) if total == total else np.nan  # noqa: PLR0124


@njit(cache=True, error_model="numpy", inline="always")
def price_risk(sums: Float64[np.ndarray, " 16"], paired: Int64[np.ndarray, " 16"]) -> float:
    """Return the part of the scan risk that is due to the price alone.

    The mean of the active scenario and its pair, less time risk, the mean of scenarios 1 and 2. Where no
    scenario loses, volatility risk is half of scenario 1 less scenario 2, which leaves minus scenario 1.
    """
    active = worst_scenario(sums)
    time_risk = (sums[0] + sums[1]) / 2
    price = (sums[active] + sums[paired[active]]) / 2 - time_risk
    return price if sums[active] > 0 else -sums[0]
