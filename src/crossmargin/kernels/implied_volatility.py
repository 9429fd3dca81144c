"""Volatility at which Black's formula gives the price of an option on a future.

The out-of-the-money option of the same strike carries the whole time value, so it is what is inverted:
its logarithm, by Newton steps inside a bracket that only shrinks, with a bisection wherever a step would
leave it or gains too little. A price that no volatility gives is told by a status, and its volatility is
NaN; nothing is guessed. Cost: about ten prices an option.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit, prange

from crossmargin.kernels.black76 import black76_price_delta
from crossmargin.kernels.normal import normal_density

__all__ = ["DEVIATION_MAX", "VolatilityStatus", "implied_volatilities", "implied_volatility"]

DEVIATION_MAX: Final = 64.0
"""Largest volatility × √years that is looked for; from about 16 on, float64 holds no time value more."""

STEPS_MAX = 200
CLOSE = 2.0**-51


class VolatilityStatus(IntEnum):
    """What an inversion found, in the order in which it is looked at."""

    FOUND = 0
    """The volatility is given."""
    INVALID = 1
    """An argument is not finite, or the forward, the strike or the time is not above 0."""
    BELOW_INTRINSIC = 2
    """The price is below the discounted intrinsic value, or negative."""
    ABOVE_MAXIMUM = 3
    """The price is not below the discounted forward (call) or strike (put)."""
    NO_TIME_VALUE = 4
    """The price is the discounted intrinsic value; the volatility given is 0."""


FOUND = int(VolatilityStatus.FOUND)
INVALID = int(VolatilityStatus.INVALID)
BELOW_INTRINSIC = int(VolatilityStatus.BELOW_INTRINSIC)
ABOVE_MAXIMUM = int(VolatilityStatus.ABOVE_MAXIMUM)
NO_TIME_VALUE = int(VolatilityStatus.NO_TIME_VALUE)


@njit(cache=True, error_model="numpy")
def _deviation(target: float, forward: float, strike: float) -> float:
    """Volatility × √years at which the out-of-the-money option costs ``target`` without discounting."""
    side = 1.0 if forward <= strike else -1.0
    moneyness, goal = math.log(forward / strike), math.log(target)
    low, high = 0.0, DEVIATION_MAX
    at = min(max(math.sqrt(2.0 * abs(moneyness)), 1e-3), 0.5 * DEVIATION_MAX)  # steepest there
    for _ in range(STEPS_MAX):
        price = black76_price_delta(side, forward, strike, at, 1.0, 0.0)[0]
        if price > target:
            high = at
        elif price < target:
            low = at
        else:
            return at
        step = math.inf
        if price > 0.0:
            vega = forward * normal_density(moneyness / at + 0.5 * at)
            step = (math.log(price) - goal) * price / vega if vega > 0.0 else math.inf
        after = at - step
        if not (low < after < high):
            after = 0.5 * (low + high)
        if abs(after - at) <= CLOSE * at:
            return after
        at = after
    return at


@njit(cache=True, error_model="numpy")
def implied_volatility(
    side: float, price: float, forward: float, strike: float, years: float, rate: float
) -> tuple[float, int]:
    """Volatility and status of one option; arguments as ``implied_volatilities``."""
    finite = math.isfinite(price) and math.isfinite(rate) and math.isfinite(years)
    if not (finite and 0.0 < forward < math.inf and 0.0 < strike < math.inf and years > 0.0):
        return math.nan, INVALID
    undiscounted = price * math.exp(rate * years)
    intrinsic = max(side * (forward - strike), 0.0)
    time_value = undiscounted - intrinsic
    rounding = CLOSE * undiscounted if intrinsic > 0.0 else 0.0
    if time_value < -rounding:
        return math.nan, BELOW_INTRINSIC
    if undiscounted >= (forward if side > 0.0 else strike):
        return math.nan, ABOVE_MAXIMUM
    if time_value <= rounding:
        return 0.0, NO_TIME_VALUE
    return _deviation(time_value, forward, strike) / math.sqrt(years), FOUND


@njit(cache=True, parallel=True, error_model="numpy")
def implied_volatilities(
    sides: Float64[np.ndarray, " options"],
    prices: Float64[np.ndarray, " options"],
    forwards: Float64[np.ndarray, " options"],
    strikes: Float64[np.ndarray, " options"],
    years: Float64[np.ndarray, " options"],
    rates: Float64[np.ndarray, " options"],
) -> tuple[Float64[np.ndarray, " options"], Int64[np.ndarray, " options"]]:
    """Volatility that each price implies.

    Parameters
    ----------
    sides : ndarray of float64, shape (options,)
        1 for a call, −1 for a put.
    prices, forwards, strikes : ndarray of float64, shape (options,)
        In points.
    years, rates : ndarray of float64, shape (options,)
        Time to expiry; continuous interest rate a year.

    Returns
    -------
    volatilities : ndarray of float64, shape (options,)
        A fraction a year; 0 where the price has no time value; NaN where the status says why.
    statuses : ndarray of int64, shape (options,)
        Of ``VolatilityStatus``.
    """
    volatilities, statuses = np.empty(prices.size), np.empty(prices.size, dtype=np.int64)
    for i in prange(prices.size):
        volatilities[i], statuses[i] = implied_volatility(
            sides[i], prices[i], forwards[i], strikes[i], years[i], rates[i]
        )
    return volatilities, statuses
