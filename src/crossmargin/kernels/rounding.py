"""Rounding of one number as rulebooks mean it: what ``core.rounding`` does to arrays, for use in kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["half_away"]

TIE_SLACK = 2.0**-50
TIE_SLACK_MAX = 0.25


@njit(cache=True, error_model="numpy")
def half_away(amount: float) -> float:
    """Round to the nearest integer, a half away from zero; bit for bit ``core.rounding.half_away``."""
    whole = np.trunc(amount)
    slack = min(abs(amount) * TIE_SLACK, TIE_SLACK_MAX)
    away = 1.0 if amount > 0 else -1.0
    step = away if abs(amount - whole) >= 0.5 - slack else 0.0  # no branch: every second guess would be wrong
    return whole + step + 0.0
