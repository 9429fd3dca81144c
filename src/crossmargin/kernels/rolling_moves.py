"""Past returns scaled to the volatility of a day and compounded over windows, one row a factor.

Cost: a division, a square root and a few products for each factor and day, an addition for each day of a window;
nothing is read but the days from the first window to the last, and the volatilities known before them. One thread walks them:
it is less work than waking others.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit

__all__ = ["scaled_moves", "scaled_moves_numpy"]


@njit(cache=True, error_model="numpy")
def _ratio(last: float, known: float, ratio_min: float, ratio_max: float) -> float:
    ratio = np.sqrt(last / known) if known > 0.0 else 1.0
    return min(max(ratio, ratio_min), ratio_max)


@njit(cache=True, error_model="numpy")
def scaled_moves(
    returns: Float64[np.ndarray, "factors days"],
    variances: Float64[np.ndarray, "factors days+1"],
    last: Float64[np.ndarray, " factors"],
    multiplies: Float64[np.ndarray, " factors"],
    ends: Int64[np.ndarray, " scenarios"],
    window_days: int,
    ratio_min: float,
    ratio_max: float,
    moves: Float64[np.ndarray, "factors columns"],
) -> None:
    """Fill the first columns of ``moves`` with the scaled move over the window that ends each day.

    Each return is multiplied by √(last ÷ variance known before its day), within the bounds, and by 1 where that
    variance is 0; returns a and b of a window make a + b + m × a × b, the last day first.

    Parameters
    ----------
    returns : ndarray of float64, shape (factors, days)
        Moves from the day before.
    variances : ndarray of float64, shape (factors, days + 1)
        Column t is known before day t.
    last : ndarray of float64, shape (factors,)
        Variance to which returns are scaled.
    multiplies : ndarray of float64, shape (factors,)
        1 for simple returns, 0 for moves that add up.
    ends : ndarray of int64, shape (scenarios,)
        Last day of each window, ascending; no window begins before the first day.
    window_days : int
        Days of a window.
    ratio_min, ratio_max : float
        Bounds of the ratio.
    moves : ndarray of float64, shape (factors, columns)
        At least as many columns as scenarios.
    """
    first, last_day = ends[0] - window_days + 1, ends[-1]
    scaled = np.empty(last_day - first + 1)
    for f in range(returns.shape[0]):
        past, known, now, times = returns[f], variances[f], last[f], multiplies[f]
        for t in range(scaled.size):
            scaled[t] = past[first + t] * _ratio(now, known[first + t], ratio_min, ratio_max)
        for s in range(ends.size):
            day = ends[s] - first
            total = scaled[day]
            for lag in range(1, window_days):
                earlier = scaled[day - lag]
                total = total + earlier + times * total * earlier
            moves[f, s] = total


def scaled_moves_numpy(
    returns: Float64[np.ndarray, "factors days"],
    variances: Float64[np.ndarray, "factors days+1"],
    last: Float64[np.ndarray, " factors"],
    multiplies: Float64[np.ndarray, " factors"],
    ends: Int64[np.ndarray, " scenarios"],
    window_days: int,
    ratio_min: float,
    ratio_max: float,
    moves: Float64[np.ndarray, "factors columns"],
) -> None:
    """Do what ``scaled_moves`` does, readably: the reference in tests."""
    known = variances[:, :-1]
    ratio = np.ones(known.shape)
    np.divide(last[:, None], known, out=ratio, where=known > 0)
    scaled = returns * np.clip(np.sqrt(ratio), ratio_min, ratio_max)
    total = scaled[:, ends]
    for lag in range(1, window_days):
        earlier = scaled[:, ends - lag]
        total = total + earlier + multiplies[:, None] * total * earlier
    moves[:, : ends.size] = total
