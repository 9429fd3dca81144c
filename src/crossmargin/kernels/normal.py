"""The normal distribution for kernels: one number in, one out.

``normal_cdf`` rests on ``erfc``, which keeps full relative precision in the lower tail; each function is
compiled where a kernel calls it and runs as plain Python through its ``py_func``.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["normal_cdf", "normal_density"]

ROOT_HALF = math.sqrt(0.5)
ROOT_INVERSE_TAU = 1.0 / math.sqrt(2.0 * math.pi)


@njit(cache=True, error_model="numpy")
def normal_cdf(x: float) -> float:
    """Probability that a standard normal variable is at most ``x``."""
    return 0.5 * math.erfc(-x * ROOT_HALF)


@njit(cache=True, error_model="numpy")
def normal_density(x: float) -> float:
    """Density of the standard normal distribution at ``x``."""
    return ROOT_INVERSE_TAU * math.exp(-0.5 * x * x)
