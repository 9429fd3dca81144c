"""Daily returns with common factors, heavy tails and volatility that comes in clusters."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float64

__all__ = ["autoregressive", "clustered_returns", "volatility_moves"]

FREEDOM: Final = 5.0
"""Degrees of freedom of the Student-t innovations."""

RETURN_LIMIT: Final = 8.0
"""No innovation is larger, in unconditional deviations: ten years of a t distribution may have a freak."""

ARCH, GARCH = 0.07, 0.89
LEVERAGE: Final = 0.06
"""What a fall adds to ``ARCH``: falls raise the variance of the days after more than rises do."""

VOLATILITY_MEMORY: Final = 0.98
VOLATILITY_RESPONSE, VOLATILITY_CURVATURE, VOLATILITY_NOISE = -0.03, 0.008, 0.03
"""Change of the logarithm of implied volatility for a return of one deviation, for its square, and of its own."""

LOG_VOLATILITY_LIMITS: Final = (-0.7, 1.5)
SQUARE_LIMIT: Final = 16.0


def clustered_returns(
    rng: np.random.Generator, days: int, count: int, *, leverage: bool
) -> Float64[np.ndarray, "days series"]:
    """Return independent series of unconditional variance about 1.

    A GARCH(1,1) recursion with Student-t innovations, with the asymmetry of Glosten, Jagannathan and Runkle
    (1993) where ``leverage`` says so.
    """
    asymmetry = LEVERAGE if leverage else 0.0
    shocks = rng.standard_t(FREEDOM, (days, count)) * np.sqrt((FREEDOM - 2) / FREEDOM)
    returns = np.empty((days, count))
    variance = np.ones(count)
    constant = 1 - ARCH - asymmetry / 2 - GARCH
    for day in range(days):
        returns[day] = np.clip(np.sqrt(variance) * shocks[day], -RETURN_LIMIT, RETURN_LIMIT)
        sensitivity = ARCH + asymmetry * (returns[day] < 0)
        variance = constant + sensitivity * returns[day] ** 2 + GARCH * variance
    return returns


def autoregressive(
    shocks: Float64[np.ndarray, "days series"], memory: float, low: float, high: float
) -> Float64[np.ndarray, "days series"]:
    """Return x(t) = memory × x(t−1) + shock(t), kept between two limits, from 0."""
    level = np.zeros(shocks.shape[1])
    path = np.empty_like(shocks)
    for day in range(len(shocks)):
        level = path[day] = np.clip(memory * level + shocks[day], low, high)
    return path


def volatility_moves(
    rng: np.random.Generator, deviations: Float64[np.ndarray, "days series"]
) -> Float64[np.ndarray, "days series"]:
    """Return the logarithm of implied volatility over its mean, which rises when prices fall.

    Parameters
    ----------
    rng : Generator
        Of the part that returns do not explain.
    deviations : ndarray of float64, shape (days, series)
        Returns in unconditional deviations.
    """
    squares = np.minimum(deviations**2, SQUARE_LIMIT) - 1
    own = VOLATILITY_NOISE * rng.standard_normal(deviations.shape)
    shocks = VOLATILITY_RESPONSE * deviations + VOLATILITY_CURVATURE * squares + own
    return autoregressive(shocks, VOLATILITY_MEMORY, *LOG_VOLATILITY_LIMITS)
